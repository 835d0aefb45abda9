'use strict';

const NAMES = [
  'messages_received',
  'messages_sent',
  'bytes_received',
  'bytes_sent',
  'queued_bytes',
  'refused_messages',
];

/**
 * @param {Iterable<?object>} figures the counters of connections; nothing counts for nothing
 * @returns {object} their sum
 */
function sum(figures) {
  const total = Object.fromEntries(NAMES.map((name) => [name, 0]));
  for (const one of figures) {
    if (one) for (const name of NAMES) total[name] += one[name] ?? 0;
  }
  return total;
}

module.exports = { sum };
