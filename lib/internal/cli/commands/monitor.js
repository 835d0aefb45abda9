'use strict';

const { UsageError, clientOptions, milliseconds, number } = require('../arguments.js');
const { interrupted } = require('../connecting.js');
const { Dashboard } = require('../dashboard.js');
const { EXIT } = require('../exit-codes.js');
const { fetchText, parseMetrics } = require('../scrape.js');
const { Printer, printable } = require('../text.js');

const { json, help, timeout } = clientOptions({});

const options = {
  interval: {
    value: 'MS',
    short: 'i',
    meaning: 'Time between two updates (1000)',
    convert: milliseconds,
    default: 1000,
  },
  count: {
    value: 'N',
    short: 'c',
    meaning: 'Stop after N updates; without it Ctrl-C stops',
    convert: number({ min: 1 }),
    default: Number.POSITIVE_INFINITY,
  },
  timeout: { ...timeout, meaning: 'Time that an update may take (5000)' },
  json,
  help,
};

/** @returns {URL} of a URL, or of a port of this machine */
function urlOf(text) {
  if (/^\d+$/.test(text)) return urlOf(`http://127.0.0.1:${text}/metrics`);
  try {
    const url = new URL(text);
    if (['http:', 'https:'].includes(url.protocol)) return url;
  } catch {
    // The message below names the accepted values.
  }
  throw new UsageError(`the argument must be the URL of metrics, or a port. Received "${text}"`);
}

/** q, Ctrl-C and Ctrl-D: the terminal gives them all as keys. */
const END_KEYS = ['q', '\u0003', '\u0004'];

/** The view on the terminal. It uses the alternate screen, so that it leaves no traces. */
class Screen {
  #url;
  #interval;
  #onKey = () => {};

  constructor(url, interval) {
    this.#url = url;
    this.#interval = interval;
  }

  /** @returns {Promise<void>} fulfilled when the user ends it */
  open() {
    process.stdout.write('\u001b[?1049h\u001b[?25l');
    if (!process.stdin.isTTY) return new Promise(() => {});
    process.stdin.setRawMode(true).resume();
    return new Promise((resolve) => {
      this.#onKey = (data) => {
        if (END_KEYS.some((key) => data.includes(key))) resolve();
      };
      process.stdin.on('data', this.#onKey);
    });
  }

  close() {
    process.stdout.write('\u001b[?25h\u001b[?1049l');
    if (!process.stdin.isTTY) return;
    process.stdin.removeListener('data', this.#onKey);
    process.stdin.setRawMode(false).pause();
  }

  draw(dashboard, err) {
    const width = process.stdout.columns || 80;
    const height = process.stdout.rows || 40;
    const status = err ? `  ${printable(err.message)}` : '';
    const every = `every ${this.#interval / 1000} s, q ends`;
    const lines = [`${this.#url}  ${every}${status}`, ''];
    for (const track of dashboard.tracks) lines.push(...track.lines(width), '');
    const shown = lines.slice(0, height - 1).map((line) => `${line.slice(0, width - 1)}\u001b[K`);
    process.stdout.write(`\u001b[H${shown.join('\r\n')}\u001b[J`);
  }
}

/** Updates the view until the program is to stop. */
async function look(url, { interval, count, timeout }, { signal, pause, show }) {
  const dashboard = new Dashboard();
  let failed = false;
  for (let n = 1; n <= count && !signal.aborted; n += 1) {
    let failure = null;
    try {
      const sources = parseMetrics(await fetchText(url, { timeout, signal }));
      if (sources.size === 0) throw new Error('there are no metrics of sockhop');
      dashboard.add(sources, performance.now());
    } catch (err) {
      if (signal.aborted) return EXIT.ok;
      failure = err;
    }
    failed = failure !== null;
    show(dashboard, failure);
    if (n < count) await pause(interval);
  }
  return failed ? EXIT.failed : EXIT.ok;
}

async function run({ values, positionals }) {
  if (positionals.length === 0) throw new UsageError('the URL of the metrics is missing');
  const url = urlOf(positionals[0]);
  const isView = Boolean(process.stdout.isTTY) && !values.json;
  const screen = isView ? new Screen(url, values.interval) : null;
  const printer = new Printer(values.json);
  const show = isView
    ? (dashboard, err) => screen.draw(dashboard, err)
    : (dashboard, err) => {
        if (err) process.stderr.write(`${url}: ${printable(err.message)}\n`);
        else for (const track of dashboard.tracks) printer.print(track.latest, track.line);
      };
  const controller = new AbortController();
  const ended = Promise.race([interrupted(), screen?.open() ?? new Promise(() => {})]).then(() =>
    controller.abort(),
  );
  const pause = (ms) => {
    let timer;
    const passed = new Promise((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    return Promise.race([passed, ended]).finally(() => clearTimeout(timer));
  };
  try {
    return await look(url, values, { signal: controller.signal, pause, show });
  } finally {
    screen?.close();
  }
}

module.exports = {
  summary: 'Shows the metrics of clients and servers, live',
  usage: '<URL or port>',
  takes: 1,
  hasEndpoint: false,
  details: [
    'The URL is the address of the text that metrics() returns: that of "listen --metrics", or of a',
    'program that serves the text for Prometheus. A port means http://127.0.0.1:PORT/metrics. On a',
    'terminal the command shows the last values as bars; otherwise it prints lines.',
  ],
  options,
  examples: ['9464', '--interval 5000 --json https://app.example/metrics'],
  run,
};
