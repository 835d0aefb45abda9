'use strict';

const { clientOptions, UsageError } = require('../arguments.js');
const { connect, makeClient } = require('../connecting.js');
const { formatEndpoint, looksLikeEndpoint } = require('../endpoint.js');
const { EXIT } = require('../exit-codes.js');
const { setImmediate } = require('../../real-timers.js');
const { includes, json, parseMessage } = require('../messages.js');
const { Printer, printable, showObject } = require('../text.js');

const options = clientOptions({
  call: { type: 'boolean', short: 'c', meaning: 'Wait for the answer, and print it' },
  request: {
    type: 'boolean',
    short: 'r',
    meaning: 'Send it as a request, and print each packet of the answer',
  },
  expect: {
    value: 'JSON',
    short: 'x',
    meaning:
      'The answer must have everything that JSON has; implies --call unless --request is given',
    convert: json,
  },
});

/** @returns {Promise<string>} all of standard input */
async function readInput() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** @returns {Promise<Array<{type: string, data: *}>>} the answer, of several packets for a request */
async function ask(client, message, { request, timeout }) {
  if (!request) {
    // call() gives no type: the callback of send() does.
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(Object.assign(new Error(`no answer within ${timeout} ms`), { isTimeout: true }));
      }, timeout);
      const onEnd = () => {
        clearTimeout(timer);
        reject(new Error('the connection ended before the answer'));
      };
      client.once('disconnect', onEnd);
      const sent = client.send(message, (data, { type }) => {
        clearTimeout(timer);
        client.removeListener('disconnect', onEnd);
        resolve([{ type, data }]);
      });
      sent.catch((err) => {
        clearTimeout(timer);
        reject(err);
      });
    });
  }
  const stream = await client.request(message, { timeout });
  const packets = [];
  for await (const { type, data } of stream) packets.push({ type, data });
  return packets;
}

async function askAndPrint(client, message, values, printer) {
  let packets;
  try {
    packets = await ask(client, message, values);
  } catch (err) {
    if (!err.isTimeout && err.code !== 'ERR_RESPONSE_TIMEOUT') throw err;
    process.stderr.write(`no answer within ${values.timeout} ms\n`);
    return EXIT.noAnswer;
  }
  for (const { type, data } of packets) printer.print({ type, data }, showObject(type, data));
  if (values.expect === undefined) return EXIT.ok;
  if (packets.some(({ data }) => includes(values.expect, data))) return EXIT.ok;
  process.stderr.write(`the answer is not as expected: ${JSON.stringify(values.expect)}\n`);
  return EXIT.unexpected;
}

/** The error for an endpoint instead of the message. */
function noMessage(given, endpoint) {
  return new UsageError(
    `there is no message to send: "${given}" is an endpoint, and the message comes after it.\n` +
      `If it is the message, name the endpoint, too: ${formatEndpoint(endpoint)} ${given}`,
  );
}

async function run({ values, positionals, endpoint, isEndpointGiven }) {
  if (positionals.length === 0) throw new UsageError('there is no message to send');
  const [given] = positionals;
  if (!isEndpointGiven && looksLikeEndpoint(given)) throw noMessage(given, endpoint);
  const message = parseMessage(given === '-' ? await readInput() : given);
  const asks = values.call || values.request || values.expect !== undefined;
  if (asks && values.peer === 'json') throw new UsageError('a JSON peer does not answer');
  if (values.call && values.request)
    throw new UsageError('--call and --request exclude each other');
  const printer = new Printer(values.json);
  const client = makeClient(values, endpoint);
  client.on('error', (err) => process.stderr.write(`${printable(err.message)}\n`));
  await connect(client, endpoint);
  try {
    if (asks) return await askAndPrint(client, message, values, printer);
    await client.send(message);
    return EXIT.ok;
  } catch (err) {
    // Why the connection broke, such as an alert of TLS, is an `error` event that comes later.
    await new Promise((resolve) => setImmediate(resolve));
    throw err;
  } finally {
    await client.disconnect();
  }
}

module.exports = {
  summary: 'Sends one message',
  usage: '[endpoint] <message>',
  takes: 1,
  details: [
    'The message is JSON, the name of a class with JSON, or a plain text; "-" reads it from standard',
    'input. Without --call or --request, the exit code only shows that the message was sent.',
  ],
  options,
  examples: [
    '50000 \'{"hello":"world"}\'',
    "--expect '{\"ok\":true}' --timeout 2000 db.example:50000 'Health {}'",
    '--request --unix /run/app.sock \'{"list":"users"}\'',
  ],
  run,
};
