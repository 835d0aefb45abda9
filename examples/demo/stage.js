'use strict';

// What the server and the clients of the demonstration need besides the package itself: to tell
// the conductor (index.js) what happens, to hold an answer against the one expected, and to wait
// for a cue.

const { isDeepStrictEqual, inspect } = require('node:util');

const ANSWER_LIMIT_MS = 5000;

const show = (value) => inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 5 });

/** An answer as one reads it: a value that came with the name of its class is shown with it. */
const describe = (answer) => (answer?.type ? `${answer.type} ${show(answer.value)}` : show(answer));

function tell(message, sent) {
  // The monotonic clock is the same for all processes: the conductor sorts by it.
  process.send({ ...message, at: Number(process.hrtime.bigint()) / 1e6 }, sent);
}

/** Prints a line in this process's column. */
const say = (text) => tell({ kind: 'say', text });

/** Ends this process, and with it the demonstration, as failed. */
function fail(reason) {
  return new Promise(() => tell({ kind: 'wrong', reason }, () => process.exit(1)));
}

/**
 * Waits for an answer and compares it with the one it should be.
 * @param {string} name what is expected, in words
 * @param {Promise<unknown>} answer
 * @param {unknown} expected
 */
async function check(name, answer, expected) {
  tell({ kind: 'waiting', name });
  const missing = Symbol('missing');
  let timer;
  const deadline = new Promise((resolve) => {
    timer = setTimeout(resolve, ANSWER_LIMIT_MS, missing);
  });
  let given;
  try {
    given = await Promise.race([answer, deadline]);
  } catch (error) {
    await fail(`"${name}": expected ${describe(expected)}, failed: ${error}`);
  }
  clearTimeout(timer);
  if (given === missing) await fail(`"${name}": no answer within ${ANSWER_LIMIT_MS} ms`);
  if (!isDeepStrictEqual(given, expected)) {
    await fail(`"${name}": expected ${describe(expected)}, got ${describe(given)}`);
  }
  tell({ kind: 'right', name, answer: describe(given) });
}

/** @returns {Promise<void>} when the conductor gives the cue `name` */
function cue(name) {
  return new Promise((resolve) => {
    const listen = (message) => {
      if (message !== name) return;
      process.off('message', listen);
      resolve();
    };
    process.on('message', listen);
  });
}

/** Tells the conductor that this process has come to the point `name`. */
const reached = (name, details) => tell({ kind: 'reached', name, details });

process.on('uncaughtException', (error) => fail(error.stack));
// The conductor is gone: nobody is watching.
process.on('disconnect', () => {
  if (!leaving) process.exit(1);
});

let leaving = false;
/** Lets go of the conductor; a process with nothing else to do then ends by itself. */
function leave() {
  leaving = true;
  process.disconnect();
}

module.exports = { check, cue, leave, reached, say, show };
