'use strict';

// Runs `npm run profile` briefly: it must succeed, and its summary must name the functions of a
// real workload.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const { temporaryDirectory } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');

const SCRIPT = path.join(path.dirname(__dirname), 'scripts', 'profile.js');
const limit = { timeout: 600_000 };

/**
 * Profiles a workload, and gives the output and the files that were written. Node's own profile
 * includes the start of the process, so that a moment suffices; perf samples the workload alone.
 */
async function profile(t, args, env = process.env) {
  const cwd = temporaryDirectory(t);
  const output = path.join(cwd, 'profile');
  const ms = env === withoutPerf ? '100' : '300';
  const all = [SCRIPT, ...args, '--ms', ms, '--top', '5', '--output', output];
  const child = spawn(process.execPath, all, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      texts[name] += text;
    });
  }
  const closed = new Promise((resolve) => {
    child.on('close', resolve);
  });
  cleanup(t, () => {
    child.kill('SIGKILL');
    return closed;
  });
  const code = await closed;
  const inside = fs.existsSync(output) ? fs.readdirSync(output).sort() : [];
  const outside = fs.readdirSync(cwd).filter((name) => name !== 'profile');
  assert.deepEqual(outside, [], 'files are written beside the output');
  return { code, ...texts, files: inside };
}

/** The reason why perf cannot record a process here; false if it can. */
function perfMissing() {
  const args = ['record', '-q', '-o', '/dev/null', '--', process.execPath, '--version'];
  return spawnSync('perf', args).status !== 0 && 'perf is missing, or may not record';
}

/** No program but Node itself is on this PATH. */
const withoutPerf = { ...process.env, PATH: '/nonexistent' };

describe('npm run profile', () => {
  it('shows the functions of the JavaScript thread', limit, async (t) => {
    const { code, stdout, stderr, files } = await profile(t, ['roundtrip'], withoutPerf);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /roundtrip over tcp, the server/);
    assert.match(stdout, /JavaScript thread, by --cpu-prof: [\d.]+ s busy/);
    assert.match(stdout, /^ +[\d.]+ % {2}\S.*(lib|benchmark|node:internal)\S*:\d+$/m);
    assert.deepEqual(files, ['javascript.cpuprofile']);
  });

  it('says so where perf is missing', limit, async (t) => {
    const { stdout } = await profile(t, ['roundtrip', '--side', 'client'], withoutPerf);
    assert.match(stdout, /roundtrip over tcp, the client/);
    assert.match(stdout, /Native code and the kernel are missing here: perf is /);
  });

  it('shows native code and all threads with perf', {
    ...limit,
    skip: perfMissing(),
  }, async (t) => {
    const { code, stdout, stderr, files } = await profile(t, ['oneway-64', '--transport', 'unix']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /oneway-64 over unix, the server/);
    assert.match(stdout, /^ +[\d.]+ % {2}Native binding \(Rust\)$/m);
    assert.match(stdout, /^Node and V8\n +[\d.]+ % {2}\S/m);
    assert.deepEqual(files, ['javascript.cpuprofile', 'perf.data', 'perf.txt']);
  });

  it('refuses a side that the workload has no process for', limit, async (t) => {
    const { code, stderr } = await profile(t, ['fanin-100', '--side', 'client']);
    assert.equal(code, 1);
    assert.match(stderr, /--side of fanin-100 must be one of server/);
  });
});
