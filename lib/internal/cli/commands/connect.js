'use strict';

const { clientOptions } = require('../arguments.js');
const { connect, interrupted, makeClient } = require('../connecting.js');
const { formatEndpoint } = require('../endpoint.js');
const { EXIT } = require('../exit-codes.js');
const { parseMessage } = require('../messages.js');
const { PingProbe } = require('../ping-probe.js');
const { Prompt } = require('../prompt.js');
const { Printer, formatBytes, formatNumber, printable, showObject } = require('../text.js');

const options = clientOptions({
  reconnect: { type: 'boolean', meaning: 'Connect again when the connection ends' },
});

const HELP = [
  'A line is a message: JSON, the name of a class with JSON, or a plain text.',
  '  {"hello":"world"}           Order {"item":"tea"}           hello',
  '',
  '  :call MESSAGE      sends MESSAGE and waits for the answer',
  '  :request MESSAGE   sends a request and prints each packet of the answer',
  '  :ping              measures the time of a ping',
  '  :stats             figures of this connection',
  '  :help              this text',
  '  :quit              ends (or Ctrl-D)',
].join('\n');

/** The commands of the prompt. */
class Session {
  #client;
  #probe;
  #printer;
  #timeout;

  constructor(client, printer, timeout) {
    this.#client = client;
    this.#printer = printer;
    this.#timeout = timeout;
    this.#probe = new PingProbe(client);
  }

  static commands = [':call ', ':request ', ':ping', ':stats', ':help', ':quit'];

  /**
   * @param {string} line
   * @returns {Promise<boolean>} whether the prompt continues
   */
  async run(line) {
    const text = line.trim();
    if (text === '') return true;
    const [, command, rest = ''] = text.match(/^:(\w*)\s*(.*)$/s) ?? [];
    try {
      switch (command) {
        case undefined:
          await this.#client.send(parseMessage(text));
          break;
        case 'call':
          await this.#call(parseMessage(rest));
          break;
        case 'request':
          await this.#request(parseMessage(rest));
          break;
        case 'ping':
          await this.#ping();
          break;
        case 'stats':
          this.#stats();
          break;
        case 'help':
          this.#printer.print({ event: 'help', text: HELP }, HELP);
          break;
        case 'q':
        case 'quit':
        case 'exit':
          return false;
        default:
          this.#fail(new Error(`there is no command ":${command}". Try :help`));
      }
    } catch (err) {
      this.#fail(err);
    }
    return true;
  }

  #fail(err) {
    this.#printer.print(
      { event: 'error', code: err.code, message: err.message },
      `error: ${printable(err.message)}`,
    );
  }

  async #call(message) {
    const began = performance.now();
    const data = await this.#client.call(message, { timeout: this.#timeout });
    const time = performance.now() - began;
    const shown = `answer ${showObject(data?.constructor?.name, data)} (${time.toFixed(1)} ms)`;
    this.#printer.print({ event: 'answer', data, time }, shown);
  }

  async #request(message) {
    const stream = await this.#client.request(message, { timeout: this.#timeout });
    let count = 0;
    for await (const { type, data } of stream) {
      count += 1;
      this.#printer.print(
        { event: 'response', packet: count, type, data },
        `packet ${count} ${showObject(type, data)}`,
      );
    }
  }

  async #ping() {
    const time = await this.#probe.ping(this.#timeout);
    const text = time === null ? `no answer within ${this.#timeout} ms` : `${time.toFixed(3)} ms`;
    this.#printer.print({ event: 'pong', time }, `pong ${text}`);
  }

  #stats() {
    const stats = this.#client.stats();
    const lines = Object.entries(stats)
      .filter(([, value]) => value !== 0 && value !== null)
      .map(([name, value]) => {
        const isSize = /bytes/.test(name);
        const isNumber = typeof value === 'number';
        const shown = isSize ? formatBytes(value) : isNumber ? formatNumber(value) : value;
        return `  ${name.padEnd(22)} ${printable(shown)}`;
      });
    this.#printer.print({ event: 'stats', ...stats }, lines.join('\n'));
  }
}

/** Prints the messages of the server. */
function watch(client, printer) {
  client.on('receive', (data, { type, callback }) => {
    const asks = callback ? ', and waits for an answer' : '';
    printer.print({ event: 'receive', type, data }, `received ${showObject(type, data)}${asks}`);
  });
  client.on('request', ({ type, data }, response) => {
    printer.print({ event: 'request', type, data }, `requests ${showObject(type, data)}`);
    // Nothing here can answer it, and the server need not wait.
    response.end().catch(() => {});
  });
  client.on('error', (err) => {
    printer.print(
      { event: 'error', code: err.code, message: err.message },
      `error: ${printable(err.message)}`,
    );
  });
}

async function run({ values, endpoint }) {
  const where = formatEndpoint(endpoint);
  const printer = new Printer(values.json);
  // With "debug" the client shows pongs, which :ping measures.
  const client = makeClient(values, endpoint, { debug: true });
  watch(client, printer);
  const ended = interrupted();
  await connect(client, endpoint);
  printer.print({ event: 'connect', endpoint: where }, `connected to ${where}; :help explains`);
  client.on('connect', () => printer.print({ event: 'connect', endpoint: where }, 'connected'));
  if (values.reconnect) client.auto_reconnect = true;
  const prompt = new Prompt(printer, Session.commands);
  const lost = new Promise((resolve) => {
    client.on('disconnect', () => {
      printer.print({ event: 'disconnect' }, 'disconnected');
      if (!client.auto_reconnect) resolve('lost');
    });
  });
  const session = new Session(client, printer, values.timeout);
  const finished = prompt.forEachLine((line) => session.run(line));
  const reason = await Promise.race([finished, prompt.closed, ended, lost]);
  prompt.close();
  client.removeAllListeners('disconnect');
  await client.disconnect();
  return reason === 'lost' ? EXIT.failed : EXIT.ok;
}

module.exports = {
  summary: 'Opens a prompt that sends messages and prints received ones',
  usage: '[endpoint]',
  details: [
    'Without a terminal it reads the lines of standard input. The history of the prompt is in',
    '~/.sockhop_history, or in the file that SOCKHOP_HISTORY names; an empty value turns it off.',
  ],
  options,
  examples: ['50000', '--tls --ca ca.pem server.example:50000'],
  run,
};
