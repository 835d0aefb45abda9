'use strict';

// A client of the demonstration. The same program runs on this package and on the original; only
// the name given to `require` differs.

const { Credentials, GIFTS, NOTICE, Widget } = require('./messages');
const { check, cue, leave, reached, say } = require('./stage');

const { name, implementation, password, port, path } = JSON.parse(process.argv[2]);
const { client: Client } = require(implementation);

const RECONNECT_MS = 200;

/** Unlike `events.once`, this is not ended by an 'error' event. */
const next = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

/** What has come in unasked, in order, for whoever waits for the next. */
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

/** One connection, and the conversation over it. */
class Line {
  #where;
  #inbox = new Inbox();

  constructor(where, options) {
    this.#where = where;
    this.client = new Client({ ...options, auto_reconnect_interval: RECONNECT_MS });
    this.client.on('receive', (object, { type, callback }) => {
      if (type === 'Question') {
        say(`is asked for ${object.a} x ${object.b}`);
        callback(object.a * object.b);
      } else {
        this.#inbox.push({ value: object, type });
      }
    });
    this.client.on('error', (error) => {
      // The original reports each attempt to reconnect that failed; anything else has no place here.
      if (error.syscall !== 'connect') throw error;
      say(`cannot reach the server over ${where}: ${error.code}`);
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
    say(`is connected over ${this.#where}`);
  }

  authenticate(expected) {
    const what = `${this.#where}: the answer to the password`;
    return check(what, this.ask(new Credentials(name, password)), {
      value: expected,
      type: 'Object',
    });
  }

  async receiveGifts() {
    for (const gift of GIFTS) {
      const type = gift.constructor.name;
      const value = JSON.parse(JSON.stringify(gift));
      await check(`${this.#where}: a gift, the ${type}`, this.#inbox.next(), { value, type });
    }
  }

  exchangeWidget() {
    return check(`${this.#where}: the Widget comes back`, this.ask(new Widget('cog', 21)), {
      value: { label: 'polished cog', teeth: 42 },
      type: 'Widget',
    });
  }

  async exchangeValues() {
    await check(`${this.#where}: the String comes back`, this.ask('smørrebrød, please'), {
      value: 'SMØRREBRØD, PLEASE',
      type: 'String',
    });
    await check(`${this.#where}: the Array comes back`, this.ask(['pear', 'apple', 'fig']), {
      value: ['apple', 'fig', 'pear'],
      type: 'Array',
    });
  }

  /** From the notice the server gives until it is there again; `began` is when that may happen. */
  async surviveRestart(began) {
    const { client } = this;
    const gone = next(client, 'disconnect');
    const back = next(client, 'connect');
    await began;
    await check(`${this.#where}: the server's notice`, this.#inbox.next(), {
      value: NOTICE,
      type: 'String',
    });
    await check(
      `${this.#where}: the connection ends`,
      gone.then(() => this.state),
      'disconnected',
    );
    await check(
      `${this.#where}: the connection is back`,
      back.then(() => this.state),
      'connected',
    );
  }
}

async function member() {
  const lines = [new Line('TCP', { port }), new Line('Unix', { path })];
  for (const line of lines) {
    await line.connect();
    line.client.auto_reconnect = true;
    await line.authenticate({ admitted: true, reason: null });
    await line.receiveGifts();
    await line.exchangeWidget();
    await line.exchangeValues();
  }

  const restart = cue('restart');
  const survived = lines.map((line) => line.surviveRestart(restart));
  reached('ready for the restart');
  await Promise.all(survived);
  for (const line of lines) {
    await line.authenticate({ admitted: true, reason: null });
    await line.receiveGifts();
    await line.exchangeWidget();
  }

  const finish = cue('finish');
  reached('ready to finish');
  await finish;
  for (const { client } of lines) await client.disconnect();
  say('has disconnected');
}

async function intruder() {
  const line = new Line('TCP', { port });
  await line.connect();
  const gone = next(line.client, 'disconnect');
  await line.authenticate({ admitted: false, reason: 'wrong password' });
  await check(
    'TCP: the server ends the connection',
    gone.then(() => line.state),
    'disconnected',
  );
}

async function main() {
  await (name === 'intruder' ? intruder() : member());
  reached('end');
  leave();
  // After disconnect() the original still keeps its process alive.
  if (implementation === 'sockhop-1.8') process.exit(0);
}

main();
