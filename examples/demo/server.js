'use strict';

// The server of the demonstration: listens on a TCP port and on a Unix socket, and talks only to
// those who show a password.

const { server: Server, session: Session } = require('../..');

const { GIFTS, NOTICE, Question, Widget } = require('./messages');
const { check, cue, leave, reached, say, show } = require('./stage');

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
    say('someone is at the door');
  }

  async end() {
    say(`${this.name ?? 'a stranger'} has left`);
  }

  authenticate({ name, password }, answer) {
    if (!Object.hasOwn(PASSWORDS, name) || PASSWORDS[name] !== password) {
      say(`refuses ${name}, the password is wrong`);
      refused.push(name);
      answer({ admitted: false, reason: 'wrong password' });
      this.kill();
      return;
    }
    say(`lets ${name} in`);
    this.name = name;
    admitted.push(name);
    answer({ admitted: true, reason: null });
    conversations.push(this.converse());
  }

  /** The callbacks from the server's side: it asks, the client answers. */
  async converse() {
    const answer = new Promise((resolve, reject) => {
      const answered = (value, meta) => resolve({ value, type: meta.type });
      this.server.send(this.sock, new Question(6, 7), answered).catch(reject);
    });
    await check(`${this.name} answers the question "6 x 7"`, answer, { value: 42, type: 'Number' });
    for (const gift of GIFTS) await this.send(gift);
  }
}

/** What a member gets back for what it sends. */
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
  if (!session.name) throw new Error(`a stranger was heard: ${show(object)}`);
  if (!ANSWERS[type]) throw new Error(`${session.name} sent something unknown: ${type}`);
  say(`${session.name} sent the ${type} ${show(object)}`);
  callback(ANSWERS[type](object));
}

async function main({ port, path }) {
  const doors = [
    new Server({ port, session_type: Member }),
    new Server({ path, session_type: Member }),
  ];
  for (const door of doors) {
    door.on('receive', receive);
    door.on('error', (error) => {
      throw error;
    });
  }
  const [tcp] = await Promise.all(doors.map((door) => door.listen()));
  const bound = tcp.address().port;
  say(`listens on 127.0.0.1:${bound} and on ${path}`);
  reached('listening', { port: bound });

  await cue('stop');
  await Promise.all(conversations);
  if (doors.some((door) => door.sessions.length > 0)) {
    say(`tells everyone: ${show(NOTICE)}`);
    await Promise.all(doors.map((door) => door.sendall(NOTICE)));
  }
  await Promise.all(doors.map((door) => door.close()));
  say('has closed');
  reached('closed', { admitted: admitted.sort(), refused });
  leave();
}

main(JSON.parse(process.argv[2]));
