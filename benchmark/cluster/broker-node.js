// A process with only the client of a broker, which shows the cost of the broker itself.

const { serveCommands } = require('./commands.js');

const ALL = 'alone.a';
/** The length of the line that a node of this package puts before a message, in bytes. */
const LINE = 64;

/** The client of a broker, which publishes bytes and delivers those of its subjects. */
async function connect({ engine, url }, subjects, onMessage) {
  if (engine === 'nats') {
    const connection = await require('@nats-io/transport-node').connect({ servers: url });
    for (const subject of subjects) {
      connection.subscribe(subject, {
        callback: (_, { subject: name, data }) => onMessage(name, data),
      });
    }
    await connection.flush();
    return { publish: (subject, bytes) => connection.publish(subject, bytes) };
  }
  const { Redis } = require('ioredis');
  const client = new Redis(url);
  const subscriber = client.duplicate();
  subscriber.on('messageBuffer', (channel, bytes) => onMessage(String(channel), bytes));
  await subscriber.subscribe(...subjects);
  return { publish: (channel, bytes) => client.publish(channel, bytes) };
}

async function main(config) {
  const id = `alone.n.${process.pid}`;
  const waiting = new Map();
  let lastCall = 0;
  let received = 0;
  let wanted = { count: Number.POSITIVE_INFINITY, resolve: () => {} };
  const client = await connect(config, [ALL, id], (subject, bytes) => {
    if (subject === ALL) {
      received += 1;
      if (received >= wanted.count) wanted.resolve();
      return;
    }
    // A question has the subject for its answer; an answer has none.
    const text = Buffer.from(bytes).toString('latin1');
    const [call, replyTo] = text.trimEnd().split(' ');
    if (replyTo !== undefined) {
      client.publish(replyTo, Buffer.from(call.padEnd(text.length)));
      return;
    }
    waiting.get(call)();
    waiting.delete(call);
  });
  serveCommands({
    ids: () => [id],
    broadcast: (data) => {
      client.publish(ALL, Buffer.from(''.padEnd(LINE) + JSON.stringify(data)));
    },
    /** Resolves when that many messages have arrived since the start. */
    received: (count) =>
      new Promise((resolve) => {
        wanted = { count, resolve };
        if (received >= count) resolve();
      }),
    call: (to, data) =>
      new Promise((resolve) => {
        lastCall += 1;
        waiting.set(String(lastCall), resolve);
        const text = `${lastCall} ${id}`.padEnd(LINE + JSON.stringify(data).length);
        client.publish(to, Buffer.from(text));
      }),
  });
}

main(JSON.parse(process.argv[2]));
