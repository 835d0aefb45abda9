const { callsAndRequests, answering } = require('./by-hand.js');

/** The client is a dealer and the server a router: the pair that sends in both directions. */

/** A socket accepts one send at a time, so further messages of a handler wait in a queue. */
function queued(socket) {
  const queue = [];
  let busy = false;
  return async (message) => {
    queue.push(message);
    if (busy) {
      return;
    }
    busy = true;
    while (queue.length > 0) {
      await socket.send(queue.shift());
    }
    busy = false;
  };
}

async function serve({ transport, address, broadcast, receive, request }) {
  const { Router } = require('zeromq');
  const socket = new Router({ linger: 0 });
  const send = queued(socket);
  const incoming = answering({ receive, request });
  const identities = new Map();
  await socket.bind(endpoint(transport, address));
  (async () => {
    for await (const [identity, text] of socket) {
      // A router has no list of its peers, so a broadcast needs one.
      if (broadcast) {
        identities.set(identity.toString('latin1'), identity);
      }
      incoming(JSON.parse(text), (answer) => send([identity, JSON.stringify(answer)]));
    }
  })();
  return {
    async sendAll(data) {
      const text = JSON.stringify(data);
      for (const identity of identities.values()) {
        await socket.send([identity, text]);
      }
    },
  };
}

async function connect({ transport, address, receive }) {
  const { Dealer } = require('zeromq');
  const socket = new Dealer({ linger: 0 });
  socket.connect(endpoint(transport, address));
  const send = queued(socket);
  const { client, incoming } = callsAndRequests((message) => send(JSON.stringify(message)));
  (async () => {
    for await (const [text] of socket) {
      incoming(JSON.parse(text), receive);
    }
  })();
  const sendNow = (data) => socket.send(JSON.stringify(data));
  return { ...client, push: sendNow, send: sendNow };
}

function endpoint(transport, address) {
  return transport === 'unix' ? `ipc://${address.path}` : `tcp://127.0.0.1:${address.port}`;
}

/** ZMTP 3.0, mechanism NULL: signature, version, mechanism, as-server, filler. */
const greeting = Buffer.concat([
  Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]),
  Buffer.from('NULL'.padEnd(20, '\0')),
  Buffer.alloc(32),
]);

/** libzmq closes a connection if a message arrives before it has sent its own greeting. */
function hello(data) {
  const ready = command('READY', { 'Socket-Type': 'DEALER', Identity: '' });
  return { first: greeting, wait: greeting.length, rest: Buffer.concat([ready, frame(data)]) };
}

function command(name, properties) {
  const parts = [Buffer.from([name.length]), Buffer.from(name)];
  for (const [key, value] of Object.entries(properties)) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(value.length);
    parts.push(Buffer.from([key.length]), Buffer.from(key), length, Buffer.from(value));
  }
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([0x04, body.length]), body]);
}

function frame(data) {
  const body = Buffer.from(JSON.stringify(data));
  if (body.length <= 0xff) {
    return Buffer.concat([Buffer.from([0x00, body.length]), body]);
  }
  const head = Buffer.alloc(9);
  head[0] = 0x02;
  head.writeBigUInt64BE(BigInt(body.length), 1);
  return Buffer.concat([head, body]);
}

module.exports = {
  label: 'zeromq 6',
  transports: ['tcp', 'unix'],
  tls: false,
  version: () => require('zeromq/package.json').version,
  serve,
  connect,
  wire: { hello, frame },
};
