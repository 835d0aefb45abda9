'use strict';

// The server of the demonstration. It listens on a TCP port and on a Unix socket, and only answers clients that have
// sent a password.

const { server: Server, session: Session } = require('../..');

const { SAMPLES, NOTICE, Question, Widget } = require('./messages');
const { check, commanded, leave, reached, say, show } = require('./report');

const PASSWORDS = { native: 'swordfish', original: 'open sesame' };

const admitted = [];
const refused = [];
const conversations = [];

class Member extends Session {
  constructor(...args) {
    super(...args);
    this.name = null;
  }

  async start() {
    say('a client has connected');
  }

  async end() {
    say(`${this.name ?? 'an unknown client'} has disconnected`);
  }

  authenticate({ name, password }, answer) {
    if (!Object.hasOwn(PASSWORDS, name) || PASSWORDS[name] !== password) {
      say(`refuses ${name}: wrong password`);
      refused.push(name);
      answer({ admitted: false, reason: 'wrong password' });
      this.kill();
      return;
    }
    say(`admits ${name}`);
    this.name = name;
    admitted.push(name);
    answer({ admitted: true, reason: null });
    conversations.push(this.converse());
  }

  /** Shows a callback in the other direction: the server asks, and the client answers. */
  async converse() {
    const answer = new Promise((resolve, reject) => {
      const answered = (value, meta) => resolve({ value, type: meta.type });
      this.server.send(this.sock, new Question(6, 7), answered).catch(reject);
    });
    await check(`${this.name} answers the question 6 x 7`, answer, { value: 42, type: 'Number' });
    for (const sample of SAMPLES) await this.send(sample);
  }
}

/** The answers to the objects of admitted clients, by class. */
const ANSWERS = {
  Widget: ({ label, teeth }) => new Widget(`polished ${label}`, teeth * 2),
  String: (text) => text.toUpperCase(),
  Array: (list) => [...list].sort(),
};

function receive(object, { type, session, callback }) {
  if (type === 'Credentials') {
    session.authenticate(object, callback);
    return;
  }
  if (!session.name) throw new Error(`an unknown client sent ${show(object)}`);
  if (!ANSWERS[type]) throw new Error(`${session.name} sent an unknown type: ${type}`);
  say(`${session.name} sent the ${type} ${show(object)}`);
  callback(ANSWERS[type](object));
}

async function main({ port, path }) {
  const servers = [
    new Server({ port, session_type: Member }),
    new Server({ path, session_type: Member }),
  ];
  for (const server of servers) {
    server.on('receive', receive);
    server.on('error', (error) => {
      throw error;
    });
  }
  const [tcp] = await Promise.all(servers.map((server) => server.listen()));
  const bound = tcp.address().port;
  say(`listens on 127.0.0.1:${bound} and on ${path}`);
  reached('listening', { port: bound });

  await commanded('stop');
  await Promise.all(conversations);
  if (servers.some((server) => server.sessions.length > 0)) {
    say(`sends to all clients: ${show(NOTICE)}`);
    await Promise.all(servers.map((server) => server.sendall(NOTICE)));
  }
  await Promise.all(servers.map((server) => server.close()));
  say('has closed');
  reached('closed', { admitted: admitted.sort(), refused });
  leave();
}

main(JSON.parse(process.argv[2]));
