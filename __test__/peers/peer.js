'use strict';

// A program on one implementation of the API, controlled by commands over IPC: `create` makes
// clients and servers, and the other commands name one of them. It sends every event back, with
// those properties of the arguments that can cross to another process.

const path = require('node:path');
const { build, summarize } = require(path.join(__dirname, '..', 'support', 'payload.js'));

const sockhop = require(process.argv[2]);

const actors = new Map();

function describe(error) {
  return error && { name: error.name, message: error.message, code: error.code };
}

/** Sends and waits for the answer, not for the bytes to be written. */
function ask(send) {
  return new Promise((resolve, reject) => {
    send((data, meta) => resolve({ data: summarize(data), type: meta.type })).catch(reject);
  });
}

class Actor {
  answer = null;
  /** Every socket in the order of its connection. The index of a socket is its number. */
  connections = [];

  constructor(id, subject) {
    this.id = id;
    this.subject = subject;
    subject.on('connect', (socket) => {
      this.connections.push(socket);
      this.report('connect', { connection: this.connections.length - 1 });
    });
    subject.on('disconnect', (socket) => {
      this.report('disconnect', { connection: this.connections.indexOf(socket) });
    });
    subject.on('error', (error) => this.report('error', { error: describe(error) }));
    subject.on('receive', (object, meta) => {
      this.report('receive', {
        object: summarize(object),
        type: meta.type,
        wantsAnswer: typeof meta.callback === 'function',
        connection: meta.socket ? this.connections.indexOf(meta.socket) : undefined,
      });
      if (meta.callback && this.answer) meta.callback(build(this.answer));
    });
  }

  report(name, details) {
    process.send({ actor: this.id, event: { name, ...details } });
  }

  answerWith(spec) {
    this.answer = spec;
  }

  ping(interval) {
    this.subject.ping(interval);
  }

  pause(connection = this.connections.length - 1) {
    this.connections[connection].pause();
  }

  resume(connection = this.connections.length - 1) {
    this.connections[connection].resume();
  }

  async disconnect() {
    await this.subject.disconnect();
  }
}

class Client extends Actor {
  constructor(id, options) {
    super(id, new sockhop.client(options));
  }

  async connect() {
    await this.subject.connect();
  }

  async send(spec) {
    await this.subject.send(build(spec));
  }

  ask(spec) {
    return ask((callback) => this.subject.send(build(spec), callback));
  }

  /** Like `ask()`, by the promise of this package. */
  async call(spec, options) {
    return { data: await this.subject.call(build(spec), options) };
  }

  /** Sends the numbers below `count` in one tick. */
  async burst(count) {
    const numbers = Array.from({ length: count }, (_, number) => number);
    await Promise.all(numbers.map((number) => this.subject.send({ number })));
  }

  autoReconnect(on) {
    this.subject.auto_reconnect = on;
  }

  state() {
    return { connected: this.subject.connected };
  }

  async dispose() {
    await this.subject.disconnect();
  }
}

class Server extends Actor {
  constructor(id, options) {
    super(id, new sockhop.server(options));
  }

  async listen() {
    await this.subject.listen();
  }

  async send(spec, connection = 0) {
    await this.subject.send(this.connections[connection], build(spec));
  }

  ask(spec, connection = 0) {
    return ask((callback) =>
      this.subject.send(this.connections[connection], build(spec), callback),
    );
  }

  async call(spec, options, connection = 0) {
    return { data: await this.subject.call(this.connections[connection], build(spec), options) };
  }

  async burst(count, connection = 0) {
    const numbers = Array.from({ length: count }, (_, number) => number);
    await Promise.all(
      numbers.map((number) => this.subject.send(this.connections[connection], { number })),
    );
  }

  async sendall(spec) {
    await this.subject.sendall(build(spec));
  }

  async kill(connection = 0) {
    await this.subject.kill_socket(this.connections[connection]);
  }

  state() {
    return { sockets: this.subject.sockets.length, sessions: this.subject.sessions.length };
  }

  async close() {
    await this.subject.close();
  }

  async dispose() {
    this.subject.ping(0);
    await this.subject.close();
  }
}

process.on('message', async ({ call, actor, method, args }) => {
  try {
    let result;
    if (method === 'create') {
      const [role, options] = args;
      actors.set(
        actor,
        role === 'client' ? new Client(actor, options) : new Server(actor, options),
      );
    } else {
      result = await actors.get(actor)[method](...args);
      if (method === 'dispose') actors.delete(actor);
    }
    process.send({ call, result });
  } catch (error) {
    process.send({ call, error: describe(error) });
  }
});

// Without a parent the program ends, although it holds connections.
process.on('disconnect', () => process.exit());
