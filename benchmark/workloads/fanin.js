const { Meter } = require('../lib/meter.js');
const { text } = require('../lib/payload.js');
const { READY_HEX, WELCOME, connectionHex, deferred, frameHex, per } = require('./common.js');

/**
 * A flood also has a maximum number of messages per millisecond: several times the rate that any
 * server handles.
 */
const MOST_PER_MS = 10_000;

/**
 * The server of a flood: counts messages until every connection has sent its last one. It also answers
 * the questions that arrive meanwhile.
 */
async function countingServer({ peer, transport, address, connections, onBegin, onEnd }) {
  const meter = new Meter();
  let messages = 0;
  let over = 0;
  let done = deferred();
  await peer.serve({
    transport,
    address,
    receive(data, reply) {
      if (data.op === undefined) {
        if (messages++ === 0) {
          meter.start();
        }
      } else if (data.op === 'hello') {
        reply(WELCOME);
      } else if (data.op === 'question') {
        reply({ seq: data.seq });
      } else if (++over === connections) {
        done.resolve({ messages, ...meter.stop(), ...onEnd?.() });
      }
    },
  });
  return {
    begin() {
      messages = 0;
      over = 0;
      done = deferred();
      onBegin?.();
    },
    finish: () => done.promise,
  };
}

/** One round of the flood, with one or several load generators; throws if a message was lost. */
async function flood({ server, generators, peer, ms, batch, rate = 0 }) {
  await server.call('begin');
  const frame = frameHex(peer, { seq: 1, body: text(64) });
  const last = frameHex(peer, { op: 'last' });
  const most = Math.ceil((ms * MOST_PER_MS) / generators.length);
  const command = `flood ms=${ms} most=${most} rate=${rate} batch=${batch} frame=${frame} last=${last}`;
  const [received, ...floods] = await Promise.all([
    server.call('finish'),
    ...generators.map((generator) => generator.call(command)),
  ]);
  const sent = floods.reduce((sum, each) => sum + each.sent, 0);
  if (received.messages !== sent) {
    throw new Error(`${received.messages} messages arrived of ${sent}`);
  }
  if (floods.some((each) => each.sent >= most)) {
    throw new Error(`a flood of ${most} messages was over before its time`);
  }
  return received;
}

/**
 * Messages per second of all connections together. Every peer can handle this rate, so that each
 * message is read separately: a server that falls behind would read several at once, and look better.
 */
const RATE = 50_000;

/** Many connections that send each message in its own packet: the server's cost of one message. */
function fanin(connections) {
  const rate = connections === 1 ? 0 : RATE;
  const others =
    connections === 1 ? 'one connection' : `${connections.toLocaleString('en')} connections`;
  return {
    name: `fanin-${connections}`,
    family: 'fanin',
    payload: 'text',
    title: `Server CPU time per message, ${others}`,
    unit: 'µs',
    better: 'lower',
    columns: [
      { key: 'jsUs', label: 'JavaScript thread, µs', digits: 2 },
      { key: 'rate', label: 'messages per second', digits: 0 },
    ],
    transports: ['tcp', 'unix'],
    server: (context) => countingServer({ ...context, connections }),
    generator: {
      arguments: ({ peer }) => [connectionHex(peer), READY_HEX],
      open: { count: connections, lanes: 32 },
    },

    async round({ server, generators, peer, ms }) {
      const {
        messages,
        cpuUs,
        jsUs,
        ms: time,
      } = await flood({
        server,
        generators,
        peer,
        ms,
        batch: 1,
        rate,
      });
      return {
        value: per(cpuUs, messages),
        jsUs: per(jsUs, messages),
        rate: (messages * 1e3) / time,
      };
    },

    floor: {
      label: 'epoll and read',
      transports: ['tcp', 'unix'],
      async start({ generator, target }) {
        const server = await generator(['serve', 'sink', target]);
        // The sink sends no answers, so the generator must not wait for one after its first message.
        const client = await generator(['drive', target, '-', READY_HEX]);
        await client.call(`connect count=${connections}`);
        return { server, client };
      },
      async round({ server, client, ms }) {
        const frame = Buffer.from(
          `${JSON.stringify({ type: 'Object', data: { seq: 1, body: text(64) } })}\n`,
        ).toString('hex');
        const before = await server.call('stats');
        const sent = await client.call(
          `flood ms=${ms} most=${ms * MOST_PER_MS} rate=${rate} batch=1 frame=${frame} last=-`,
        );
        let after = await server.call('stats');
        while (after.frames - before.frames < sent.sent) {
          after = await server.call('stats');
        }
        return {
          value: per(after.cpuUs - before.cpuUs, sent.sent),
          jsUs: null,
          rate: (sent.sent * 1e3) / sent.ms,
        };
      },
    },
  };
}

module.exports = [fanin(1), fanin(100), fanin(1000)];
Object.assign(module.exports, { countingServer, flood });
