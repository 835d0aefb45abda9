const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const readline = require('node:readline');
const { Unsupported } = require('../peers');

/** The time limit of an action, unless the workload sets its own. */
const ACTION_TIMEOUT = 30_000;

/** A Node process that is one end of a connection (see end.js). */
class End {
  #child;
  #next = 0;
  #waiting = new Map();
  #failure = null;

  /** @param {string[]} [execArgv] more options for Node */
  constructor(execArgv = []) {
    this.#child = fork(path.join(__dirname, 'end.js'), [], {
      execArgv: ['--expose-gc', '--max-old-space-size=8192', ...execArgv],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message) => this.#onMessage(message));
    this.#child.once('exit', (code, signal) => this.#fail(`ended (${signal ?? code})`));
    this.#child.once('error', (error) => this.#fail(error.message));
  }

  /**
   * Runs an action in the process; rejects if the action throws, the process ends, or time is up.
   */
  call(method, args = {}, timeout = ACTION_TIMEOUT) {
    if (this.#failure !== null) {
      return Promise.reject(this.#failure);
    }
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`no answer to "${method}" within ${timeout / 1000} s`));
      }, timeout);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#child.send({ id, method, args: [args] });
    });
  }

  get pid() {
    return this.#child.pid;
  }

  stop() {
    return stop(this.#child);
  }

  /** Lets the process exit by itself, so that it can write a requested profile. */
  async exit() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }

  #onMessage({ id, result, error, unsupported, failed }) {
    if (failed !== undefined) {
      this.#fail(failed);
      return;
    }
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) {
      return;
    }
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (error !== undefined) {
      waiting.reject(unsupported ? new Unsupported(error) : new Error(error));
    } else {
      waiting.resolve(result);
    }
  }

  #fail(reason) {
    this.#failure ??= new Error(`the process has failed: ${reason}`);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(this.#failure);
    }
    this.#waiting.clear();
  }
}

/** The native load generator: it answers each command line with a line of JSON. */
class Generator {
  #child;
  #waiting = [];
  #failure = null;
  #stderr = '';

  /** Resolves after the greeting of the process, which then listens or is connected. */
  static async start(binary, args) {
    const generator = new Generator(binary, args);
    generator.greeting = await generator.#answer('its start', ACTION_TIMEOUT);
    return generator;
  }

  constructor(binary, args) {
    this.#child = spawn(binary, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.on('data', (chunk) => {
      this.#stderr += chunk;
    });
    const lines = readline.createInterface({ input: this.#child.stdout });
    lines.on('line', (line) => this.#waiting.shift()?.resolve(JSON.parse(line)));
    this.#child.once('close', (code) => {
      this.#fail(this.#stderr.trim() || `the load generator ended (${code})`);
    });
    this.#child.once('error', (error) => this.#fail(error.message));
  }

  call(command, timeout = ACTION_TIMEOUT) {
    if (this.#failure !== null) {
      return Promise.reject(this.#failure);
    }
    this.#child.stdin.write(`${command}\n`);
    return this.#answer(`"${command.slice(0, 40)}"`, timeout);
  }

  stop() {
    return stop(this.#child);
  }

  #answer(what, timeout) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no answer of the load generator to ${what} in ${timeout / 1000} s`));
      }, timeout);
      const settle = (done) => (value) => {
        clearTimeout(timer);
        done(value);
      };
      this.#waiting.push({ resolve: settle(resolve), reject: settle(reject) });
    });
  }

  #fail(reason) {
    this.#failure ??= new Error(reason);
    for (const { reject } of this.#waiting.splice(0)) {
      reject(this.#failure);
    }
  }
}

/** Ends a process at once, because nothing is measured any more. */
function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

module.exports = { End, Generator };
