'use strict';

// Runs the command line as a user does: as a process, with or without a terminal.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const path = require('node:path');
const { cleanup } = require('./cleanup.js');
const { STEP, deadline } = require('./deadline.js');

const BIN = path.join(__dirname, '..', '..', 'lib', 'internal', 'cli', 'bin.js');

/** Runs a program on a pseudo-terminal of 100 columns, between its own standard input and output. */
const PTY = `
import fcntl, os, pty, select, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
sources = [terminal, 0]
while terminal in sources:
    for source in select.select(sources, [], [])[0]:
        try:
            data = os.read(source, 65536)
        except OSError:
            data = b""
        if not data:
            sources.remove(source)
        elif source == terminal:
            os.write(1, data)
        else:
            os.write(terminal, data)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
`;

/** A running command. */
class Command {
  #child;
  #waiting = new Set();
  #from = 0;
  stdout = '';
  stderr = '';

  constructor(t, program, args, env) {
    this.#child = spawn(program, args, { env: { ...process.env, NO_COLOR: '1', ...env } });
    for (const name of ['stdout', 'stderr']) {
      this.#child[name].setEncoding('utf8').on('data', (text) => {
        this[name] += text;
        this.#review();
      });
    }
    this.#child.stdin.on('error', () => {});
    /** Fulfilled with the exit code: @type {Promise<number|string>} */
    this.closed = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        resolve(code ?? signal);
        for (const { reject } of this.#waiting) reject(new Error(`it has ended: ${this}`));
      });
    });
    cleanup(t, () => {
      this.#child.kill('SIGKILL');
      return this.closed;
    });
  }

  toString() {
    return `${JSON.stringify(this.stdout)}, ${JSON.stringify(this.stderr)}`;
  }

  #review() {
    for (const each of this.#waiting) {
      const match = this.stdout.slice(this.#from).match(each.pattern);
      if (match === null) continue;
      this.#from += match.index + match[0].length;
      this.#waiting.delete(each);
      each.resolve(match);
    }
  }

  /**
   * Waits for output after the output that an earlier call has found.
   *
   * @param {RegExp} pattern
   * @returns {Promise<RegExpMatchArray>}
   */
  output(pattern) {
    const found = new Promise((resolve, reject) => {
      this.#waiting.add({ pattern, resolve, reject });
    });
    this.#review();
    return deadline(found, () => `${pattern} in ${this}`);
  }

  type(text) {
    this.#child.stdin.write(text);
  }

  endInput() {
    this.#child.stdin.end();
  }

  kill(signal) {
    this.#child.kill(signal);
  }

  /** @returns {Promise<{code: number|string, stdout: string, stderr: string}>} */
  async ended() {
    const code = await deadline(this.closed, () => `the end of ${this}`, 2 * STEP);
    return { code, stdout: this.stdout, stderr: this.stderr };
  }
}

const CONNECTING = ['send', 'connect', 'ping', 'bench'];

/** Gives commands that connect more time than their defaults, for a busy machine. */
function patient([name, ...args]) {
  if (name === undefined) return [];
  if (!CONNECTING.includes(name) || args.includes('--help')) return [name, ...args];
  const timeout = args.includes('--timeout') ? [] : ['--timeout', '60000'];
  return [name, '--connect-timeout', '60000', ...timeout, ...args];
}

/** Starts a command whose standard input stays open. */
const start = (t, args, env) => new Command(t, process.execPath, [BIN, ...patient(args)], env);

/** Runs a command to its end. */
function run(t, args, { input = '', env } = {}) {
  const command = start(t, args, env);
  command.type(input);
  command.endInput();
  return command.ended();
}

/**
 * Runs commands that end at once, all in one process.
 *
 * @returns {Promise<{code: number, stdout: string, stderr: string}[]>}
 */
async function runTogether(t, lines) {
  const file = path.join(__dirname, '..', 'programs', 'command-lines.js');
  const command = new Command(t, process.execPath, [file, JSON.stringify(lines.map(patient))]);
  command.endInput();
  const { code, stdout, stderr } = await command.ended();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  const results = stdout.trim().split('\n');
  assert.equal(results.length, lines.length);
  return results.map((result) => JSON.parse(result));
}

/** Starts a command on a terminal. */
const startOnTerminal = (t, args, env) =>
  new Command(t, 'python3', ['-c', PTY, process.execPath, BIN, ...patient(args)], {
    TERM: 'xterm',
    ...env,
  });

/** For the option `skip` of a test. @type {false | string} */
const noTerminal =
  process.platform === 'win32' || spawnSync('python3', ['-c', 'import pty']).status !== 0
    ? 'python3 with its module "pty" is not here'
    : false;

module.exports = { noTerminal, run, runTogether, start, startOnTerminal };
