'use strict';

// The demonstration: a native server in one process; a native client, the original client and an
// intruder in others. They exchange objects over TCP and over a Unix socket, the server is
// restarted, everyone comes back. Every answer is checked; the first one that is missing or wrong
// is named, and the exit code is 1.

const { fork } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');

const { show } = require('./stage');

const LIMIT_MS = 14_000;
/** How long a line is held back, so that the lines of all processes come in order of time. */
const SORT_MS = 40;

const NATIVE = '../..';
const ORIGINAL = 'sockhop-1.8';

const COLOURS = { server: 36, native: 32, original: 33, intruder: 31, '': 1 };

/** Prints what the processes say, in order of time. */
class Transcript {
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

  /** Prints what is left. */
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
class Actor {
  static all = new Set();
  #child;
  #reached = new Map();
  #waiting = null;

  constructor(name, script, options, production) {
    this.name = name;
    this.#child = fork(path.join(__dirname, script), [JSON.stringify(options)]);
    Actor.all.add(this);
    this.#child.on('message', (message) => this.#hear(message, production));
    this.exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        Actor.all.delete(this);
        if (code === 0) {
          production.transcript.add(name, 'has ended, exit code 0');
          resolve();
          return;
        }
        const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
        const still = this.#waiting ? `, "${this.#waiting}" never came` : '';
        production.fail(`${name} ${how}${still}`);
      });
    });
  }

  /** What this process is waiting for, in words. */
  get waiting() {
    return this.#waiting ?? 'the end of the process';
  }

  #hear({ kind, at, text, name, answer, reason, details }, production) {
    if (kind === 'say') production.transcript.add(this.name, text, at);
    if (kind === 'waiting') this.#waiting = name;
    if (kind === 'right') {
      this.#waiting = null;
      production.answers += 1;
      production.transcript.add(this.name, `✓ ${name}: ${answer}`, at);
    }
    if (kind === 'wrong') production.fail(`${this.name}: ${reason}`);
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

  /** @returns {Promise<object | undefined>} what the process says when it comes to the point */
  reaches(name) {
    return this.#point(name).promise;
  }

  cue(name) {
    this.#child.send(name);
  }

  kill() {
    this.#child.kill('SIGKILL');
  }
}

class Production {
  transcript = new Transcript();
  answers = 0;
  #directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-demo-'));
  #failed = false;
  #began = Date.now();

  fail(reason) {
    if (this.#failed) return;
    this.#failed = true;
    for (const actor of Actor.all) actor.kill();
    this.#end();
    console.error(`\nFAILED: ${reason}`);
    process.exit(1);
  }

  #end() {
    this.transcript.finish();
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }

  #expect(what, given, expected) {
    if (!isDeepStrictEqual(given, expected)) {
      this.fail(`${what}: expected ${show(expected)}, got ${show(given)}`);
    }
    this.answers += 1;
  }

  #act(title) {
    this.transcript.add('', `--- ${title} ---`);
  }

  #server(address) {
    return new Actor('server', 'server.js', address, this);
  }

  #client(name, implementation, password, address) {
    const options = { name, implementation, password, ...address };
    return new Actor(name, 'client.js', options, this);
  }

  async run() {
    const late = setTimeout(() => {
      const waiting = [...Actor.all].map((actor) => `${actor.name}: ${actor.waiting}`);
      this.fail(`not finished after ${LIMIT_MS} ms, still missing: ${waiting.join('; ')}`);
    }, LIMIT_MS);

    this.#act('a native server');
    const socket = path.join(this.#directory, 'demo.sock');
    const first = this.#server({ port: 0, path: socket });
    const { port } = await first.reaches('listening');
    const address = { port, path: socket };

    this.#act('a client on this package');
    const native = this.#client('native', NATIVE, 'swordfish', address);
    await native.reaches('ready for the restart');

    this.#act('the same client on sockhop 1.8.4');
    const original = this.#client('original', ORIGINAL, 'open sesame', address);
    await original.reaches('ready for the restart');
    const clients = [native, original];

    this.#act('someone without the password');
    await this.#client('intruder', NATIVE, 'let me in', address).exited;

    this.#act('the server is restarted, the clients come back');
    for (const client of clients) client.cue('restart');
    first.cue('stop');
    const members = ['native', 'native', 'original', 'original'];
    this.#expect('who was let in, who was refused', await first.reaches('closed'), {
      admitted: members,
      refused: ['intruder'],
    });
    await first.exited;
    const second = this.#server(address);
    await Promise.all(clients.map((client) => client.reaches('ready to finish')));

    this.#act('everyone goes home');
    for (const client of clients) client.cue('finish');
    await Promise.all(clients.map((client) => client.exited));
    second.cue('stop');
    this.#expect('who came back', await second.reaches('closed'), {
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

new Production().run();
