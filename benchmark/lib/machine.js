const { spawnSync } = require('node:child_process');
const os = require('node:os');

/** The machine of a result. Only figures of the same machine can be compared. */
function machine() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
  };
}

/** @returns {string} a machine in one line, for tables and plots */
function describeMachine({ cpu, cores, memoryGiB, system, node }) {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}`;
}

/** The commit of the working tree; null outside of a repository. */
function commit() {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: __dirname,
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : null;
}

/** Where and when a result was measured, to be kept with it. */
function provenance() {
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    machine: describeMachine(machine()),
  };
}

module.exports = { describeMachine, machine, provenance };
