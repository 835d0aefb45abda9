// The processes of the benchmark: nodes and clients, which answer calls.

const { fork } = require('node:child_process');
const path = require('node:path');

/** A process that answers calls. */
class Remote {
  #calls = new Map();
  #lastCall = 0;
  #send;

  constructor(send) {
    this.#send = send;
    this.ready = new Promise((resolve) => {
      this.onReady = resolve;
    });
  }

  onMessage({ ready, call, result, error }) {
    if (ready) return this.onReady();
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  }

  do(method, ...args) {
    this.#lastCall += 1;
    const call = this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#send({ call, method, args });
    });
  }
}

function forkProgram(file, ...args) {
  return fork(path.join(__dirname, file), args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: ['--expose-gc'],
  });
}

function start(file, argument = '') {
  const child = forkProgram(file, argument);
  const remote = new Remote((message) => child.send(message, () => {}));
  child.on('message', (message) => remote.onMessage(message));
  return { remote, child };
}

/** Starts workers of one primary process. */
function startWorkers(file, argument, count) {
  const child = forkProgram(file, argument, 'primary');
  const remotes = [];
  child.on('message', ({ worker, ...message }) => remotes[worker - 1]?.onMessage(message));
  for (let n = 1; n <= count; n += 1) {
    remotes.push(new Remote((message) => child.send({ worker: n, ...message }, () => {})));
    child.send({ fork: true });
  }
  return { remotes, children: [child] };
}

/** Starts the processes of the nodes of a peer. */
function startNodes({ program, nodes: count, primary, config }, url) {
  const argument = JSON.stringify({ ...config, url });
  if (primary) return startWorkers(program, argument, count);
  const started = Array.from({ length: count }, () => start(program, argument));
  return {
    remotes: started.map(({ remote }) => remote),
    children: started.map(({ child }) => child),
  };
}

module.exports = { start, startNodes };
