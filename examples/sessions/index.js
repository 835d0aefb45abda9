'use strict';

// Sessions with authentication: a client must send its token before the server accepts anything else.
//   node examples/sessions

const crypto = require('node:crypto');
const Sockhop = require(process.env.SOCKHOP || '../..');
const { scratchPath } = require('../scratch.js');

const TOKENS = new Map([
  ['token of ada', 'Ada'],
  ['token of charles', 'Charles'],
]);

const MOST_NOTES = 100;

class Login {
  constructor(token) {
    this.token = token;
  }
}
class Note {
  constructor(text) {
    this.text = text;
  }
}

/** The state of a connection: its user, once it has logged in, and its notes. */
class Member extends Sockhop.session {
  user = null;
  notes = [];

  async start() {
    this.challenge = crypto.randomUUID();
  }

  async end() {
    console.log(`server: ${this.user ?? 'unknown'} disconnected with ${this.notes.length} notes`);
  }

  login(token) {
    this.user = TOKENS.get(token) ?? null;
    return this.user !== null;
  }
}

async function startServer(path) {
  const server = new Sockhop.server({ path, session_type: Member, captureRejections: true });
  // With captureRejections, an exception in this async handler becomes an 'error' event.
  server.on('receive', async (object, { type, session, callback }) => {
    // A client may send any value under any type, with or without a callback.
    if (type === 'Login') {
      const welcome = session.login(object?.token);
      console.log(`server: ${welcome ? `${session.user} logged in` : 'refused an unknown token'}`);
      callback?.({ welcome, user: session.user });
      if (!welcome) await session.kill();
    } else if (!session.user) {
      await session.kill();
    } else if (type === 'Note' && typeof object?.text === 'string') {
      if (session.notes.length < MOST_NOTES) session.notes.push(object.text);
      callback?.({ notes: session.notes });
    }
  });
  server.on('error', (error) => console.error(`server: ${error.message}`));
  await server.listen();
  return server;
}

const ask = (client, object) =>
  new Promise((resolve, reject) => client.send(object, resolve).catch(reject));

async function main() {
  const path = scratchPath();
  const server = await startServer(path);
  const gone = (count) =>
    new Promise((resolve) => {
      server.on('disconnect', () => --count === 0 && resolve());
    });

  const ada = new Sockhop.client({ path });
  await ada.connect();
  const { user } = await ask(ada, new Login('token of ada'));
  console.log(`client: logged in as ${user}`);
  await ask(ada, new Note('one'));
  const { notes } = await ask(ada, new Note('two'));
  console.log(`client: the server keeps ${notes.join(' and ')}`);

  const stranger = new Sockhop.client({ path });
  await stranger.connect();
  const shown = new Promise((resolve) => stranger.once('disconnect', resolve));
  const strangerGone = gone(1);
  const answer = await ask(stranger, new Login('a guess'));
  await shown;
  await strangerGone;
  console.log(`client: welcome ${answer.welcome}, connected ${stranger.connected}`);

  const adaGone = gone(1);
  await ada.disconnect();
  await adaGone;
  await stranger.disconnect();
  await server.close();
}

module.exports = { startServer };

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
