'use strict';

// A chat server. It sends each message of a guest to all guests.
//   node examples/chat/server.js [port]

const Sockhop = require(process.env.SOCKHOP || '../..');

class Say {
  constructor(name, text) {
    this.name = name;
    this.text = text;
  }
}

const LONGEST = 1000;
const isText = (value) => typeof value === 'string' && value.length <= LONGEST;

/** The session of one guest holds the state of the connection. */
class Guest extends Sockhop.session {
  name = 'anonymous';
}

async function openRoom(options) {
  const room = new Sockhop.server({ ...options, session_type: Guest, captureRejections: true });
  const announce = (text) => room.sendall(new Say('room', text));

  // With captureRejections, an exception in this async handler becomes an 'error' event.
  room.on('receive', async (object, { type, session }) => {
    // A guest may send any value under any type.
    if (type === 'Join' && isText(object?.name)) {
      session.name = object.name;
      await announce(`${session.name} came in`);
    } else if (type === 'Say' && isText(object?.text)) {
      await room.sendall(new Say(session.name, object.text));
    }
  });
  room.on('disconnect', async (_, session) => announce(`${session.name} left`));
  room.on('error', (error) => console.error(error.message));

  await room.listen();
  return room;
}

module.exports = { openRoom };

if (require.main === module) {
  const port = Number(process.argv[2]) || 50000;
  openRoom({ port }).then(() => console.log(`the room is open on port ${port}`));
}
