'use strict';

// A chat server with rooms. Several of them, on one machine or many, are one chat if they have the same
// broker.
//   BROKER=nats://127.0.0.1:4222 node examples/rooms/server.js [port]
//   BROKER=redis://127.0.0.1:6379 node examples/rooms/server.js [port]

const cluster = require('node:cluster');

const directory = process.env.SOCKHOP || '../..';
const Sockhop = require(directory);

/** The engine for a broker; without one, that of the workers of `node:cluster`, or none. */
function engineFor(url) {
  const engineOf = (name) => require(`${directory}/lib/cluster/${name}.js`);
  if (url?.startsWith('nats:')) return engineOf('nats').nats(url);
  if (url?.startsWith('redis:')) return engineOf('redis').redis(url);
  return cluster.isWorker ? engineOf('workers').workers() : undefined;
}

class Said {
  constructor(name, text) {
    this.name = name;
    this.text = text;
  }
}

const LONGEST = 1000;
const isText = (value) => typeof value === 'string' && value !== '' && value.length <= LONGEST;

/** The session of one guest, who is in one room at a time. */
class Guest extends Sockhop.ClusterSession {
  name = 'anonymous';
  room = null;

  /** Sends a text to all guests of the room, on all servers. */
  tell(name, text) {
    return this.server.cluster.group(this.room).send(new Said(name, text));
  }

  async enter(name, room) {
    await this.exit();
    this.name = name;
    // The name of the group comes from the client, so the prefix limits it to rooms.
    this.room = `room:${room}`;
    await this.join(this.room);
    await this.tell('room', `${this.name} came in`);
  }

  async exit() {
    if (this.room === null) return;
    const { room } = this;
    this.room = null;
    await this.leave(room);
    await this.server.cluster.group(room).send(new Said('room', `${this.name} left`));
  }
}

async function openRooms(options, broker = process.env.BROKER) {
  const server = new Sockhop.server({
    ...options,
    session_type: Guest,
    captureRejections: true,
    cluster: engineFor(broker),
  });
  server.on('receive', async (object, { type, session, callback }) => {
    if (type === 'Enter' && isText(object?.name) && isText(object?.room)) {
      await session.enter(object.name, object.room.slice(0, 100));
      callback?.({ room: object.room });
    } else if (type === 'Say' && isText(object?.text) && session.room !== null) {
      await session.tell(session.name, object.text);
    } else if (type === 'Who' && session.room !== null) {
      const { count, complete } = await server.cluster.group(session.room).count();
      callback?.({ count, complete });
    }
  });
  server.on('disconnect', async (_, session) => session.exit());
  server.on('error', (error) => console.error(error.message));
  await server.listen();
  return server;
}

module.exports = { openRooms };

if (require.main === module) {
  const port = Number(process.argv[2]) || 50000;
  openRooms({ port }).then(() => console.log(`the rooms are open on port ${port}`));
}
