'use strict';

// Spans of OpenTelemetry for messages that are answered, from the channels of diagnostics_channel.
//   npm install @opentelemetry/api @opentelemetry/sdk-trace-base
//   node examples/tracing

const diagnostics_channel = require('node:diagnostics_channel');
const { once } = require('node:events');
const { SpanKind, SpanStatusCode } = require('@opentelemetry/api');
const { BasicTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');
const Sockhop = require(process.env.SOCKHOP || '../..');

const ANSWERS = ['answer', 'response'];

/**
 * Makes a span for each message that asks for an answer, on the side that asks and on the side that answers. The id of
 * the message is the same on both.
 */
function traceMessages(tracer) {
  // socket -> id of a message -> span
  const waiting = new WeakMap();

  const onMessage = ({ socket, direction, kind, type, id, last }) => {
    if (id === undefined || !socket) return;
    if (!waiting.has(socket)) waiting.set(socket, new Map());
    const spans = waiting.get(socket);
    if (ANSWERS.includes(kind)) {
      if (last === false) return;
      spans.get(id)?.end();
      spans.delete(id);
    } else {
      const asks = direction === 'sent';
      const span = tracer.startSpan(`${kind} ${type}`, {
        kind: asks ? SpanKind.CLIENT : SpanKind.SERVER,
        attributes: { 'messaging.system': 'sockhop', 'messaging.message.id': id },
      });
      spans.set(id, span);
    }
  };

  const onDisconnect = ({ socket }) => {
    for (const span of waiting.get(socket)?.values() ?? []) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: 'the connection ended' });
      span.end();
    }
    waiting.delete(socket);
  };

  diagnostics_channel.channel('sockhop:message').subscribe(onMessage);
  diagnostics_channel.channel('sockhop:disconnect').subscribe(onDisconnect);
}

/** Prints each span when it ends. A real program sends it to a collector. */
const printer = {
  export(spans, done) {
    for (const { name, kind, status } of spans) {
      const failure = status.code === SpanStatusCode.ERROR ? `, ${status.message}` : '';
      console.log(`${SpanKind[kind].toLowerCase()} span: ${name}${failure}`);
    }
    done({ code: 0 });
  },
  async shutdown() {},
};

class Order {
  constructor(item) {
    this.item = item;
  }
}

async function startServer(where) {
  const server = new Sockhop.server({ ...where, captureRejections: true });
  server.on('error', (error) => console.error(error.message));
  server.on('receive', (order, { type, callback }) => {
    // An order of an unknown item is never answered.
    if (type === 'Order' && order?.item === 'tea') callback?.({ price: 3 });
  });
  server.on('request', (_request, response) => response.send({ stock: 12 }));
  await server.listen();
  return server;
}

async function main() {
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(printer)] });
  traceMessages(provider.getTracer('sockhop'));

  const server = await startServer({ port: 0 });
  const client = new Sockhop.client({ port: server.server.address().port });
  client.on('error', (error) => console.error(error.message));
  await client.connect();

  await new Promise((resolve) => client.send(new Order('tea'), resolve));
  const stream = await client.request({ question: 'stock' });
  await stream.next();

  const arrived = new Promise((resolve) => server.once('receive', resolve));
  client.send(new Order('a unicorn'), () => {});
  await arrived;
  const gone = once(server, 'disconnect');
  await client.disconnect();
  await gone;
  await server.close();
  await provider.shutdown();
}

module.exports = { startServer };

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
