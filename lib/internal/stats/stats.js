'use strict';

const { OPTIONS } = require('../options/table.js');

/**
 * Figures that connections keep, and that a client or server adds up.
 *
 * @type {Object<string, string>} the meaning of each, for the documents
 */
const TRAFFIC = {
  messages_received: 'Messages received',
  messages_sent: 'Messages sent',
  bytes_received: 'Bytes received',
  bytes_sent: 'Bytes sent',
  queued_bytes: 'Bytes that wait to be sent now',
};

/** Counters of errors that belong to no option, each with the code that it counts. */
const OTHER_COUNTERS = [
  {
    error: 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA',
    counter: 'bad_frames',
    counts: 'Frames that are not JSON, or do not have the form of their kind of message',
  },
  {
    counter: 'lost_callbacks',
    counts: 'Callbacks and calls that were not answered before their connection ended',
  },
  {
    counter: 'reconnect_attempts',
    counts: 'Attempts of `auto_reconnect`; always 0 for a server',
  },
  {
    counter: 'failed_reconnects',
    counts: 'Attempts of `auto_reconnect` that failed, for any reason; always 0 for a server',
  },
];

/** The counters of limits, from the table of options, and those of other errors. */
const COUNTERS = [...OPTIONS.flatMap(({ limits = [] }) => limits), ...OTHER_COUNTERS];

for (const { counter, counts, isTraffic } of COUNTERS) {
  if (isTraffic) TRAFFIC[counter] = counts;
}

/** The figure that counts the errors of a code: @type {Map<string, string>} */
const counterOf = new Map(
  COUNTERS.filter(({ error, isTraffic }) => error && !isTraffic).map(({ error, counter }) => [
    error,
    counter,
  ]),
);

/** How often each limit of a client or server was met since it was made. */
class LimitCounters {
  constructor() {
    for (const { counter, isTraffic } of COUNTERS) if (!isTraffic) this[counter] = 0;
  }

  /**
   * Counts an error, if its code has a counter.
   *
   * @param {Error} err
   * @returns {Error} the same
   */
  count(err) {
    const counter = counterOf.get(err?.code);
    if (counter !== undefined) this[counter] += 1;
    return err;
  }
}

const TRAFFIC_NAMES = Object.keys(TRAFFIC);

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
  const total = Object.fromEntries(TRAFFIC_NAMES.map((name) => [name, 0]));
  for (const one of figures) if (one) addTraffic(total, one);
  return total;
}

/**
 * The keys of stats() with their meanings, for the documents.
 *
 * @type {Object<string, string>}
 */
const FIGURES = {
  connections: 'Connections that are open now',
  ...TRAFFIC,
  pending_callbacks: 'Callbacks that wait for an answer now',
  ...Object.fromEntries(COUNTERS.map(({ counter, counts }) => [counter, counts])),
  round_trip:
    'Time that the last answered ping took, in milliseconds; of a server, the longest of all connections. `null` before the first answer',
  last_connect_error:
    'Code of the error that the last failed attempt to connect ended with, or its message if it has no code. `null` if none has failed, and for a server',
};

module.exports = { FIGURES, LimitCounters, addTraffic, sumTraffic };
