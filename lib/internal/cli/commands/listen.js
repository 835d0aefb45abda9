'use strict';

const http = require('node:http');

const SockhopServer = require('../../../SockhopServer.js');
const { serverOptions, UsageError, number } = require('../arguments.js');
const { interrupted } = require('../connecting.js');
const { formatEndpoint } = require('../endpoint.js');
const { EXIT } = require('../exit-codes.js');
const { parseMessage } = require('../messages.js');
const { Printer, printable, showObject } = require('../text.js');

const options = serverOptions({
  echo: { type: 'boolean', short: 'e', meaning: 'Answer with the received object' },
  reply: { value: 'OBJECT', short: 'r', meaning: 'Answer with OBJECT', convert: parseMessage },
  quiet: { type: 'boolean', short: 'q', meaning: 'Print no messages' },
  metrics: {
    value: 'PORT',
    meaning: 'Serve metrics at http://127.0.0.1:PORT/metrics; "monitor" shows them',
    convert: number({ min: 0, max: 65535 }),
  },
});

/** The connections by their numbers in the output. */
class Names {
  #numbers = new WeakMap();
  #last = 0;

  of(socket) {
    if (!this.#numbers.has(socket)) {
      this.#last += 1;
      this.#numbers.set(socket, this.#last);
    }
    return this.#numbers.get(socket);
  }
}

const peerOf = ({ remoteAddress, remotePort }) =>
  remoteAddress ? formatEndpoint({ address: remoteAddress, port: remotePort }) : null;

/** Prints the events of the server. */
function watch(server, printer, { quiet }) {
  const names = new Names();
  server.on('connect', (socket) => {
    const [connection, peer] = [names.of(socket), peerOf(socket)];
    printer.print(
      { event: 'connect', connection, peer },
      `#${connection} connected${peer ? ` from ${peer}` : ''}`,
    );
  });
  server.on('disconnect', (socket) => {
    const connection = names.of(socket);
    printer.print({ event: 'disconnect', connection }, `#${connection} disconnected`);
  });
  server.on('error', (err, socket) => {
    const connection = socket ? names.of(socket) : null;
    const peer = connection || !err.address ? null : formatEndpoint(err);
    const where = connection ? `#${connection} ` : '';
    const from = peer ? ` from ${peer}` : '';
    printer.print(
      { event: 'error', connection, peer, code: err.code, message: err.message },
      `${where}error${from}: ${printable(err.message)}`,
    );
  });
  return (event, socket, type, data, isAsked) => {
    if (quiet) return;
    const connection = names.of(socket);
    const asks = isAsked && event === 'receive' ? ', and waits for an answer' : '';
    printer.print(
      { event, connection, type, data, answer: isAsked },
      `#${connection} ${event === 'receive' ? 'sent' : 'requests'} ${showObject(type, data)}${asks}`,
    );
  };
}

/**
 * Answers messages and requests of clients with the object that the arguments name, if there is
 * one.
 */
function answer(server, { echo, reply }, show) {
  const answerOf = (data) => (echo ? data : reply);
  // An object may be nested too deep to be written, or be null.
  const send = async (respond, data) => {
    try {
      await respond(answerOf(data) ?? {});
    } catch (err) {
      server.emit('error', err, null, null);
    }
  };
  const isAnswering = echo || reply !== undefined;
  server.on('receive', (data, { type, socket, callback }) => {
    show('receive', socket, type, data, callback !== undefined);
    if (isAnswering && callback) send((object) => callback(object), data);
  });
  server.on('request', ({ data, type }, response, { socket }) => {
    show('request', socket, type, data, true);
    if (isAnswering) send((object) => response.send(object), data);
  });
}

/** @returns {Promise<http.Server>} */
function serveMetrics(server, port) {
  const web = http.createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    response.setHeader(
      'Content-Type',
      'application/openmetrics-text; version=1.0.0; charset=utf-8',
    );
    response.end(server.metrics());
  });
  return new Promise((resolve, reject) => {
    web.once('error', reject);
    web.listen(port, '127.0.0.1', () => resolve(web));
  });
}

/** @returns {object} the TLS options of the arguments; empty for none */
function tlsOptions({ cert, key, 'client-ca': ca }) {
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError('--cert and --key belong together');
  }
  if (ca !== undefined && cert === undefined) {
    throw new UsageError('--client-ca needs --cert and --key');
  }
  if (cert === undefined) return {};
  return ca === undefined ? { cert, key } : { cert, key, ca, requestCert: true };
}

async function run({ values, endpoint }) {
  if (values.echo && values.reply !== undefined) {
    throw new UsageError('--echo and --reply exclude each other');
  }
  const printer = new Printer(values.json);
  const server = new SockhopServer({
    ...endpoint,
    peer_type: values.peer,
    ssl_options: tlsOptions(values),
  });
  const ended = interrupted();
  await server.listen();
  answer(server, values, watch(server, printer, values));
  const bound = server.server.address();
  const where = typeof bound === 'string' ? bound : formatEndpoint(bound);
  printer.print({ event: 'listening', endpoint: where }, `listening on ${where}`);
  let web = null;
  try {
    if (values.metrics !== undefined) {
      web = await serveMetrics(server, values.metrics);
      const url = `http://127.0.0.1:${web.address().port}/metrics`;
      printer.print({ event: 'metrics', url }, `metrics at ${url}`);
    }
    await ended;
  } finally {
    web?.close();
    web?.closeAllConnections?.();
    await server.close();
  }
  return EXIT.ok;
}

module.exports = {
  summary: 'Listens, and prints what clients send',
  usage: '[endpoint]',
  details: ['With port 0 the system chooses the port. Ctrl-C ends it.'],
  options,
  examples: ['--echo 50000', '--reply \'Status {"ok":true}\' --json ./run/app.sock'],
  run,
};
