'use strict';

// A client of the chat server. It sends the typed lines, and prints the messages of all guests.
//   node examples/chat/client.js <name> [port]

const Sockhop = require(process.env.SOCKHOP || '../..');

class Join {
  constructor(name) {
    this.name = name;
  }
}
class Say {
  constructor(text) {
    this.text = text;
  }
}

async function enter(name, options) {
  const client = new Sockhop.client({ ...options, captureRejections: true });
  client.on('error', (error) => console.error(error.message));
  await client.connect();
  await client.send(new Join(name));
  return {
    client,
    say: (text) => client.send(new Say(text)),
    leave: () => client.disconnect(),
  };
}

module.exports = { enter };

async function main(name = 'anonymous', port = '50000') {
  const guest = await enter(name, { port: Number(port) });
  guest.client.on('receive', async (said) => {
    if (typeof said?.name === 'string' && typeof said.text === 'string') {
      console.log(`${said.name}: ${said.text}`);
    }
  });
  guest.client.on('disconnect', () => process.exit());
  const lines = require('node:readline').createInterface({ input: process.stdin });
  lines.on('line', (line) => guest.say(line).catch((error) => console.error(error.message)));
  lines.on('close', () => guest.leave());
}

if (require.main === module) {
  main(...process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
