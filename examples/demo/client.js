'use strict';

// A client of the demonstration. The same program runs on this package and on the original. Only the argument of
// `require` differs.

const { Credentials, SAMPLES, NOTICE, Widget } = require('./messages');
const { check, commanded, leave, reached, say } = require('./report');

const { name, implementation, password, port, path } = JSON.parse(process.argv[2]);
const { client: Client } = require(implementation);

const RECONNECT_MS = 200;

/** Like `events.once`, but an 'error' event does not reject the promise. */
const next = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

/** The objects that the server sent by itself, in order. */
class Inbox {
  #received = [];
  #waiting = [];

  push(item) {
    const next = this.#waiting.shift();
    if (next) next(item);
    else this.#received.push(item);
  }

  next() {
    if (this.#received.length > 0) return Promise.resolve(this.#received.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** A client with its connection over TCP or a Unix socket. */
class Connection {
  #transport;
  #inbox = new Inbox();

  constructor(transport, options) {
    this.#transport = transport;
    this.client = new Client({ ...options, auto_reconnect_interval: RECONNECT_MS });
    this.client.on('receive', (object, { type, callback }) => {
      if (type === 'Question') {
        say(`received the question ${object.a} x ${object.b}`);
        callback(object.a * object.b);
      } else {
        this.#inbox.push({ value: object, type });
      }
    });
    this.client.on('error', (error) => {
      // The original emits an error for each failed attempt to reconnect. Other errors are not expected.
      if (error.syscall !== 'connect') throw error;
      say(`cannot reach the server over ${transport}: ${error.code}`);
    });
  }

  get state() {
    return this.client.connected ? 'connected' : 'disconnected';
  }

  ask(object) {
    return new Promise((resolve, reject) => {
      const answered = (value, meta) => resolve({ value, type: meta.type });
      this.client.send(object, answered).catch(reject);
    });
  }

  async connect() {
    await this.client.connect();
    say(`is connected over ${this.#transport}`);
  }

  authenticate(expected) {
    const label = `${this.#transport}: the answer to the password`;
    return check(label, this.ask(new Credentials(name, password)), {
      value: expected,
      type: 'Object',
    });
  }

  async receiveSamples() {
    for (const sample of SAMPLES) {
      const type = sample.constructor.name;
      const value = JSON.parse(JSON.stringify(sample));
      await check(`${this.#transport}: receives the ${type}`, this.#inbox.next(), { value, type });
    }
  }

  exchangeWidget() {
    return check(`${this.#transport}: the answer to the Widget`, this.ask(new Widget('cog', 21)), {
      value: { label: 'polished cog', teeth: 42 },
      type: 'Widget',
    });
  }

  async exchangeValues() {
    await check(`${this.#transport}: the answer to the String`, this.ask('smørrebrød, please'), {
      value: 'SMØRREBRØD, PLEASE',
      type: 'String',
    });
    await check(`${this.#transport}: the answer to the Array`, this.ask(['pear', 'apple', 'fig']), {
      value: ['apple', 'fig', 'pear'],
      type: 'Array',
    });
  }

  /** Checks the notice of a restart and the new connection; `began` is fulfilled when the restart may begin. */
  async surviveRestart(began) {
    const { client } = this;
    const gone = next(client, 'disconnect');
    const back = next(client, 'connect');
    await began;
    await check(`${this.#transport}: the server's notice`, this.#inbox.next(), {
      value: NOTICE,
      type: 'String',
    });
    await check(
      `${this.#transport}: the connection has ended`,
      gone.then(() => this.state),
      'disconnected',
    );
    await check(
      `${this.#transport}: reconnected`,
      back.then(() => this.state),
      'connected',
    );
  }
}

async function member() {
  const connections = [new Connection('TCP', { port }), new Connection('Unix', { path })];
  for (const connection of connections) {
    await connection.connect();
    connection.client.auto_reconnect = true;
    await connection.authenticate({ admitted: true, reason: null });
    await connection.receiveSamples();
    await connection.exchangeWidget();
    await connection.exchangeValues();
  }

  const restart = commanded('restart');
  const survived = connections.map((connection) => connection.surviveRestart(restart));
  reached('ready for the restart');
  await Promise.all(survived);
  for (const connection of connections) {
    await connection.authenticate({ admitted: true, reason: null });
    await connection.receiveSamples();
    await connection.exchangeWidget();
  }

  const finish = commanded('finish');
  reached('ready to finish');
  await finish;
  for (const { client } of connections) await client.disconnect();
  say('has disconnected');
}

async function intruder() {
  const connection = new Connection('TCP', { port });
  await connection.connect();
  const gone = next(connection.client, 'disconnect');
  await connection.authenticate({ admitted: false, reason: 'wrong password' });
  await check(
    'TCP: the server ends the connection',
    gone.then(() => connection.state),
    'disconnected',
  );
}

async function main() {
  await (name === 'intruder' ? intruder() : member());
  reached('end');
  leave();
  // The original keeps its process alive even after disconnect().
  if (implementation === 'sockhop-1.8') process.exit(0);
}

main();
