'use strict';

const { OPTIONS } = require('../options/table.js');

/**
 * A figure of stats().
 *
 * @typedef {object} Figure
 * @property {string} meaning in Markdown, without a full stop
 * @property {'counter'|'gauge'|'text'} kind a counter only grows
 * @property {string} [declared] its type in index.d.ts, where that is not `number`
 */

/** @returns {Figure} */
const counter = (meaning) => ({ meaning, kind: 'counter' });
/** @returns {Figure} */
const gauge = (meaning) => ({ meaning, kind: 'gauge' });

/**
 * Figures that connections keep, and that a client or server adds up.
 *
 * @type {Object<string, Figure>}
 */
const TRAFFIC = {
  messages_received: counter('Messages received'),
  messages_sent: counter('Messages sent'),
  bytes_received: counter('Bytes received'),
  bytes_sent: counter('Bytes sent'),
  queued_bytes: gauge('Bytes that wait to be sent now'),
  unread_bytes: gauge(
    'Received bytes that wait to be delivered now; each message counts 32 bytes in addition to its text',
  ),
  loop_connections: gauge('Open connections that the event loop reads'),
  thread_connections: gauge('Open connections that the I/O threads read'),
};

/** Counters of errors that belong to no option, each with the code that it counts. */
const OTHER_COUNTERS = [
  {
    error: 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA',
    counter: 'bad_frames',
    counts: 'Frames that are not JSON or not a valid message',
  },
  {
    counter: 'lost_callbacks',
    counts: 'Callbacks and calls that were not answered before their connection ended',
  },
  {
    counter: 'failed_handshakes',
    counts:
      'TLS handshakes of clients that failed for any reason, including those of `handshake_timeouts`; always 0 for a client',
  },
  {
    counter: 'reconnect_attempts',
    counts: 'Attempts of `auto_reconnect`; always 0 for a server',
  },
  {
    counter: 'cut_connections',
    counts:
      'Connections that `close({ grace })` cut at the end of the grace period; always 0 for a client',
  },
  {
    counter: 'failed_reconnects',
    counts: 'Attempts of `auto_reconnect` that failed for any reason; always 0 for a server',
  },
];

/** The counters of limits, from the table of options, and those of other errors. */
const COUNTERS = [...OPTIONS.flatMap(({ limits = [] }) => limits), ...OTHER_COUNTERS];

for (const { counter: name, counts, isTraffic } of COUNTERS) {
  if (isTraffic) TRAFFIC[name] = counter(counts);
}

/** The figure that counts the errors of a code: @type {Map<string, string>} */
const counterOf = new Map(
  COUNTERS.filter(({ error, isTraffic }) => error && !isTraffic).map((limit) => [
    limit.error,
    limit.counter,
  ]),
);

/** How often each limit of a client or server was reached since it was made. */
class LimitCounters {
  constructor() {
    for (const { counter: name, isTraffic } of COUNTERS) if (!isTraffic) this[name] = 0;
  }

  /**
   * Counts an error, if its code has a counter.
   *
   * @param {Error} err
   * @returns {Error} the same
   */
  count(err) {
    const name = counterOf.get(err?.code);
    if (name !== undefined) this[name] += 1;
    return err;
  }
}

const TRAFFIC_NAMES = Object.keys(TRAFFIC);
/** Copied by spreading, which takes a fifth of the time of `Object.fromEntries()`. */
const NO_TRAFFIC = { ...Object.fromEntries(TRAFFIC_NAMES.map((name) => [name, 0])) };

/**
 * Adds the figures of a connection to a sum, in place.
 *
 * @param {object} total
 * @param {object} figures
 */
function addTraffic(total, figures) {
  for (const name of TRAFFIC_NAMES) total[name] += figures[name] ?? 0;
}

/**
 * Adds up the figures of connections.
 *
 * @param {Iterable<?object>} figures one object for each connection; null entries are skipped
 * @returns {object}
 */
function sumTraffic(figures) {
  const total = { ...NO_TRAFFIC };
  for (const one of figures) if (one) addTraffic(total, one);
  return total;
}

/** @returns {object} the figures of connections that are over: nothing waits for them any more */
function pastTraffic(total) {
  const past = { ...total };
  for (const name of TRAFFIC_NAMES) if (TRAFFIC[name].kind === 'gauge') past[name] = 0;
  return past;
}

module.exports = {
  COUNTERS,
  LimitCounters,
  TRAFFIC,
  addTraffic,
  counter,
  gauge,
  pastTraffic,
  sumTraffic,
};
