'use strict';

const { formatBytes, formatNumber, printable, sparkline } = require('./text.js');

const ERRORS = [
  'bad_frames',
  'oversized_messages',
  'refused_connections',
  'refused_callbacks',
  'refused_messages',
  'timed_out_callbacks',
  'handshake_timeouts',
  'idle_timeouts',
  'slow_consumers',
  'failed_reconnects',
];

const perSecond = (value) => `${formatNumber(value)}/s`;
const bytesPerSecond = (value) => `${formatBytes(value)}/s`;
const seconds = (value) =>
  value < 1 ? `${formatNumber(value * 1000)} ms` : `${formatNumber(value)} s`;

/**
 * The rows of the view: each adds up samples, or their growth in a second.
 *
 * @type {Array<{key: string, title: string, samples: string[], isRate?: boolean, show: function(number): string}>}
 */
const ROWS = [
  { key: 'connections', title: 'connections', samples: ['connections'], show: formatNumber },
  {
    key: 'connects',
    title: 'connects',
    samples: ['opened_connections_total'],
    isRate: true,
    show: perSecond,
  },
  {
    key: 'messages_in',
    title: 'messages in',
    samples: ['messages_received_total'],
    isRate: true,
    show: perSecond,
  },
  {
    key: 'messages_out',
    title: 'messages out',
    samples: ['messages_sent_total'],
    isRate: true,
    show: perSecond,
  },
  {
    key: 'bytes_in',
    title: 'bytes in',
    samples: ['received_bytes_total'],
    isRate: true,
    show: bytesPerSecond,
  },
  {
    key: 'bytes_out',
    title: 'bytes out',
    samples: ['sent_bytes_total'],
    isRate: true,
    show: bytesPerSecond,
  },
  { key: 'queued', title: 'waits to be sent', samples: ['queued_bytes'], show: formatBytes },
  { key: 'unread', title: 'waits to be read', samples: ['unread_bytes'], show: formatBytes },
  {
    key: 'waiting',
    title: 'asked, no answer',
    samples: ['pending_callbacks', 'pending_requests'],
    show: formatNumber,
  },
  {
    key: 'oldest',
    title: 'oldest of them',
    samples: ['oldest_callback_seconds'],
    show: seconds,
  },
  { key: 'round_trip', title: 'round trip', samples: ['round_trip_seconds'], show: seconds },
  {
    key: 'marks',
    title: 'marks reached',
    samples: ['receive_marks_total', 'send_marks_total'],
    isRate: true,
    show: perSecond,
  },
  {
    key: 'errors',
    title: 'limits, errors',
    samples: ERRORS.map((name) => `${name}_total`),
    isRate: true,
    show: perSecond,
  },
];

/** How many values of each row are kept. */
const HISTORY = 200;

const sumOf = (values, samples) =>
  samples.reduce((sum, name) => sum + (values.get(`sockhop_${name}`) ?? 0), 0);

/** The figures of one client or server over time. */
class Track {
  #before = null;
  /** The last values of each row. */
  history = new Map(ROWS.map(({ key }) => [key, []]));

  constructor({ role, endpoint }) {
    this.role = role;
    this.endpoint = endpoint;
  }

  /** @param {Map<string, number>} values of samples; `time` in ms */
  add(values, time) {
    const before = this.#before;
    this.#before = { values, time };
    for (const { key, samples, isRate } of ROWS) {
      let value = sumOf(values, samples);
      if (isRate) {
        if (before === null) continue;
        // A smaller counter is that of a new process.
        const growth = value - sumOf(before.values, samples);
        value = Math.max(0, growth < 0 ? value : growth) / ((time - before.time) / 1000);
      }
      const history = this.history.get(key);
      history.push(value);
      if (history.length > HISTORY) history.shift();
    }
  }

  /** @returns {object} the last value of each row, for scripts */
  get latest() {
    const { role, endpoint } = this;
    const values = ROWS.map(({ key }) => [key, this.history.get(key).at(-1) ?? null]);
    return { role, endpoint, ...Object.fromEntries(values) };
  }

  /** @returns {string} the same on one line */
  get line() {
    const shown = ROWS.filter(({ key }) => this.history.get(key).at(-1) > 0).map(
      ({ key, title, show }) => `${title} ${show(this.history.get(key).at(-1))}`,
    );
    const name = `${this.role} ${printable(this.endpoint)}`;
    return `${name}: ${shown.join(', ') || 'no activity'}`;
  }

  /** @returns {string[]} the lines of the view */
  lines(width) {
    const bars = Math.max(10, Math.min(HISTORY, width - 36));
    return [
      `${this.role} ${printable(this.endpoint)}`,
      ...ROWS.map(({ key, title, show }) => {
        const values = this.history.get(key);
        const shown = values.length === 0 ? '-' : show(values.at(-1));
        return `  ${title.padEnd(18)}${shown.padStart(13)}  ${sparkline(values, bars)}`;
      }),
    ];
  }
}

/** The figures of all clients and servers of a process. */
class Dashboard {
  #tracks = new Map();

  /** @param {Map<string, Source>} sources scraped at `time`, in ms */
  add(sources, time) {
    for (const [key, source] of sources) {
      if (!this.#tracks.has(key)) this.#tracks.set(key, new Track(source));
      this.#tracks.get(key).add(source.values, time);
    }
    for (const key of this.#tracks.keys()) if (!sources.has(key)) this.#tracks.delete(key);
  }

  /** @returns {Track[]} */
  get tracks() {
    return [...this.#tracks.values()];
  }
}

module.exports = { Dashboard };
