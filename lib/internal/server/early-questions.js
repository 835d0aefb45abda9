'use strict';

const { warn } = require('../options/mistakes.js');
const { setTimeout } = require('../real-timers.js');

/** How long a session may start after its question before the program is warned, in ms. */
const PATIENCE = 2000;

/**
 * Warns of a start() that may wait for the answer of its client. Messages are read when start() has
 * resolved, so neither would ever come to an end.
 *
 * @param {string} method that has asked: `call()` or `request()`
 * @param {function(): boolean} isStarting whether start() still runs
 */
function watchEarlyQuestion(method, isStarting) {
  const timer = setTimeout(() => {
    if (!isStarting()) return;
    warn(
      'an answer in start()',
      'SOCKHOP_ANSWER_IN_START',
      `start() of a session has not resolved for ${PATIENCE} ms, since ${method} asked the client something. ` +
        'Messages of the client, and so its answer, are read only after start() has resolved: if start() waits for ' +
        'the answer, it never resolves. Ask in a handler of "connect" instead.',
    );
  }, PATIENCE);
  timer.unref?.();
}

module.exports = { watchEarlyQuestion };
