'use strict';

// A chat server: everybody hears what anybody says.
//   node examples/chat/server.js [port]

const Sockhop = require(process.env.SOCKHOP || '../..');

class Say {
  constructor(name, text) {
    this.name = name;
    this.text = text;
  }
}

/** One guest; the session keeps what belongs to the connection. */
class Guest extends Sockhop.session {
  name = 'somebody';
}

async function openRoom(options) {
  const room = new Sockhop.server({ ...options, session_type: Guest });
  const announce = (text) => room.sendall(new Say('room', text));

  room.on('receive', (object, { type, session }) => {
    if (type === 'Join') {
      session.name = object.name;
      announce(`${session.name} came in`);
    } else if (type === 'Say') {
      room.sendall(new Say(session.name, object.text));
    }
  });
  room.on('disconnect', (_, session) => announce(`${session.name} left`));
  room.on('error', (error) => console.error(error.message));

  await room.listen();
  return room;
}

module.exports = { openRoom };

if (require.main === module) {
  const port = Number(process.argv[2]) || 50000;
  openRoom({ port }).then(() => console.log(`the room is open on port ${port}`));
}
