'use strict';

// The demonstration: a server and two clients, each in its own process. The server and one client run on this package,
// the other client on the original. They exchange objects over TCP and over a Unix socket. Then the server is restarted,
// and the clients reconnect. A third client has a wrong password. Every answer is checked: if one is missing or wrong,
// the demonstration prints it and exits with code 1.

const { fork } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');

const { freePort } = require('../../__test__/support/addresses');
const { show } = require('./report');

/** Ends a demonstration that hangs, even beside other work on a busy machine. */
const LIMIT_MS = 5 * 60_000;
/** The delay of each line, so that the lines of all processes can be sorted by time. */
const SORT_MS = 40;

const NATIVE = '../..';
const ORIGINAL = 'sockhop-1.8';

const COLOURS = { server: 36, native: 32, original: 33, intruder: 31, '': 1 };

/** Prints the lines of all processes in order of time. */
class Log {
  #began = Number(process.hrtime.bigint()) / 1e6;
  #lines = [];
  #timer = null;

  add(who, text, at = Number(process.hrtime.bigint()) / 1e6) {
    this.#lines.push({ who, text, at });
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#print(Number(process.hrtime.bigint()) / 1e6 - SORT_MS);
    }, 2 * SORT_MS);
  }

  /** Prints the remaining lines. */
  finish() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#print(Number.POSITIVE_INFINITY);
  }

  #print(until) {
    this.#lines.sort((a, b) => a.at - b.at);
    while (this.#lines.length > 0 && this.#lines[0].at <= until) {
      const { who, text, at } = this.#lines.shift();
      const seconds = ((at - this.#began) / 1000).toFixed(3);
      console.log(`${seconds.padStart(7)} s  ${this.#paint(who, who.padEnd(8))}  ${text}`);
    }
    if (this.#lines.length > 0) {
      const rest = this.#lines;
      this.#lines = [];
      for (const { who, text, at } of rest) this.add(who, text, at);
    }
  }

  #paint(who, text) {
    return process.stdout.isTTY ? `\x1b[${COLOURS[who]}m${text}\x1b[0m` : text;
  }
}

/** One of the processes. */
class Participant {
  static all = new Set();
  #child;
  #reached = new Map();
  #waiting = null;

  constructor(name, script, options, demonstration) {
    this.name = name;
    this.#child = fork(path.join(__dirname, script), [JSON.stringify(options)]);
    Participant.all.add(this);
    this.#child.on('message', (message) => this.#hear(message, demonstration));
    this.exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        Participant.all.delete(this);
        if (code === 0) {
          demonstration.log.add(name, 'has ended, exit code 0');
          resolve();
          return;
        }
        const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
        const still = this.#waiting ? ` before "${this.#waiting}"` : '';
        demonstration.fail(`${name} ${how}${still}`);
      });
    });
  }

  /** A description of the answer this process waits for. */
  get waiting() {
    return this.#waiting ?? 'the end of the process';
  }

  #hear({ kind, at, text, name, answer, reason, details }, demonstration) {
    if (kind === 'say') demonstration.log.add(this.name, text, at);
    if (kind === 'waiting') this.#waiting = name;
    if (kind === 'right') {
      this.#waiting = null;
      demonstration.answers += 1;
      demonstration.log.add(this.name, `✓ ${name}: ${answer}`, at);
    }
    if (kind === 'wrong') demonstration.fail(`${this.name}: ${reason}`);
    if (kind === 'reached') this.#point(name).resolve(details);
  }

  #point(name) {
    if (!this.#reached.has(name)) {
      const point = {};
      point.promise = new Promise((resolve) => {
        point.resolve = resolve;
      });
      this.#reached.set(name, point);
    }
    return this.#reached.get(name);
  }

  /** @returns {Promise<object | undefined>} the details that the process reports when it reaches the point */
  reaches(name) {
    return this.#point(name).promise;
  }

  command(name) {
    this.#child.send(name);
  }

  kill() {
    this.#child.kill('SIGKILL');
  }
}

class Demonstration {
  log = new Log();
  answers = 0;
  #directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-demo-'));
  #failed = false;
  #began = Date.now();

  fail(reason) {
    if (this.#failed) return;
    this.#failed = true;
    for (const participant of Participant.all) participant.kill();
    this.#end();
    console.error(`\nFAILED: ${reason}`);
    process.exit(1);
  }

  #end() {
    this.log.finish();
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }

  #expect(name, given, expected) {
    if (!isDeepStrictEqual(given, expected)) {
      this.fail(`${name}: expected ${show(expected)}, got ${show(given)}`);
    }
    this.answers += 1;
  }

  #section(title) {
    this.log.add('', `--- ${title} ---`);
  }

  #server(address) {
    return new Participant('server', 'server.js', address, this);
  }

  #client(name, implementation, password, address) {
    const options = { name, implementation, password, ...address };
    return new Participant(name, 'client.js', options, this);
  }

  async run() {
    const late = setTimeout(() => {
      const waiting = [...Participant.all].map(({ name, waiting }) => `${name}: ${waiting}`);
      this.fail(`not finished after ${LIMIT_MS} ms; waiting for ${waiting.join('; ')}`);
    }, LIMIT_MS);

    this.#section('a server on this package');
    const socket = path.join(this.#directory, 'demo.sock');
    // The server listens on this port twice, so the system must not give it to a connection in
    // between.
    const address = { port: await freePort(), path: socket };
    const first = this.#server(address);
    await first.reaches('listening');

    this.#section('a client on this package');
    const native = this.#client('native', NATIVE, 'swordfish', address);
    await native.reaches('ready for the restart');

    this.#section('the same client on sockhop 1.8.4');
    const original = this.#client('original', ORIGINAL, 'open sesame', address);
    await original.reaches('ready for the restart');
    const clients = [native, original];

    this.#section('a client with a wrong password');
    await this.#client('intruder', NATIVE, 'let me in', address).exited;

    this.#section('the server restarts, and the clients reconnect');
    for (const client of clients) client.command('restart');
    first.command('stop');
    const members = ['native', 'native', 'original', 'original'];
    this.#expect('the admitted and the refused clients', await first.reaches('closed'), {
      admitted: members,
      refused: ['intruder'],
    });
    await first.exited;
    const second = this.#server(address);
    await Promise.all(clients.map((client) => client.reaches('ready to finish')));

    this.#section('the clients disconnect');
    for (const client of clients) client.command('finish');
    await Promise.all(clients.map((client) => client.exited));
    second.command('stop');
    this.#expect('the clients that reconnected', await second.reaches('closed'), {
      admitted: members,
      refused: [],
    });
    await second.exited;

    clearTimeout(late);
    this.#end();
    const seconds = ((Date.now() - this.#began) / 1000).toFixed(1);
    console.log(`\n${this.answers} answers, all as expected, in ${seconds} s`);
  }
}

const demonstration = new Demonstration();
// The reader has left, such as `head`.
process.stdout.on('error', (error) =>
  demonstration.fail(`the output cannot be written: ${error.message}`),
);
demonstration.run();
