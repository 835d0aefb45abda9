'use strict';

/* The rows of the table of options for the other methods of clients and servers. */

/** @type {import('./table.js').Option[]} */
const CALL_OPTIONS = [
  {
    name: 'signal',
    takers: ['connect()'],
    kind: 'signal',
    shown: 'none',
    meaning:
      'When it is aborted, the attempt ends, and `connect()` rejects with an `AbortError` (`ABORT_ERR`)',
  },
  {
    name: 'timeout',
    takers: ['request()'],
    kind: 'milliseconds',
    shown: 'response_timeout',
    leftOut: '"response_timeout"',
    meaning: 'Time to wait for the last packet of the answer',
  },
  {
    name: 'signal',
    takers: ['request()'],
    kind: 'signal',
    shown: 'none',
    meaning:
      'When it is aborted, the stream ends with an `AbortError` (`ABORT_ERR`) whose `cause` is the reason',
  },
  {
    name: 'timeout',
    takers: ['send()'],
    kind: 'milliseconds',
    shown: 'none',
    leftOut: 'no limit',
    meaning:
      'Time that the message may wait in the offline queue. After it the promise rejects with `ERR_SEND_TIMEOUT`, and the message is not sent',
  },
  {
    name: 'signal',
    takers: ['send()'],
    kind: 'signal',
    shown: 'none',
    meaning:
      'When it is aborted while the message waits in the offline queue, the promise rejects with an `AbortError` (`ABORT_ERR`), and the message is not sent',
  },
  {
    name: 'timeout',
    takers: ['call()'],
    kind: 'milliseconds',
    shown: 'callback_timeout',
    leftOut: '"callback_timeout"',
    meaning:
      'Time to wait for the answer. Without a timeout, the call waits as long as the connection lasts',
  },
  {
    name: 'signal',
    takers: ['call()'],
    kind: 'signal',
    shown: 'none',
    meaning:
      'When it is aborted, the promise rejects with an `AbortError` (`ABORT_ERR`) whose `cause` is the reason',
  },
  {
    name: 'labels',
    takers: ['metrics()'],
    kind: 'labels',
    default: Object.freeze({}),
    shown: '{}',
    meaning:
      'Names and values of labels that every sample gets, in addition to `role` and `endpoint`',
  },
  {
    name: 'others',
    takers: ['metrics()'],
    kind: 'endpoints',
    default: Object.freeze([]),
    shown: '[]',
    meaning:
      'Further clients and servers to include in the text. The figures of those with the same role and endpoint are added up',
  },
];

module.exports = { CALL_OPTIONS };
