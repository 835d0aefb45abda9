'use strict';

// The chat with its server and two guests in one process.
//   node examples/chat

const { once } = require('node:events');
const { scratchPath } = require('../scratch.js');
const { enter } = require('./client.js');
const { openRoom } = require('./server.js');

async function main() {
  const path = scratchPath();
  const room = await openRoom({ path });
  const ada = await enter('Ada', { path });
  const heard = async () => {
    const [said] = await once(ada.client, 'receive');
    console.log(`Ada hears ${said.name}: ${said.text}`);
  };
  await heard();

  const charles = await enter('Charles', { path });
  await heard();
  await charles.say('Does the engine run?');
  await heard();
  await ada.say('It does.');
  await heard();
  await charles.leave();
  await heard();

  await ada.leave();
  await room.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
