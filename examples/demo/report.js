'use strict';

// Functions that the server and the clients of the demonstration share. They report to the parent process (index.js),
// compare answers with the expected ones, and wait for commands of the parent.

const { isDeepStrictEqual, inspect } = require('node:util');

/** Ends a demonstration that hangs. A busy machine also answers within this time. */
const ANSWER_LIMIT_MS = 60_000;

const show = (value) => inspect(value, { breakLength: Number.POSITIVE_INFINITY, depth: 5 });

/** An answer as text. If it has the name of a class, the text begins with that name. */
const describe = (answer) => (answer?.type ? `${answer.type} ${show(answer.value)}` : show(answer));

function report(message, sent) {
  // All processes have the same monotonic clock. The parent sorts the messages by this time.
  process.send({ ...message, at: Number(process.hrtime.bigint()) / 1e6 }, sent);
}

/** Prints a line with the name of this process. */
const say = (text) => report({ kind: 'say', text });

/** Ends this process and the demonstration with a failure. */
function fail(reason) {
  return new Promise(() => report({ kind: 'wrong', reason }, () => process.exit(1)));
}

/**
 * Waits for an answer and compares it with the expected one.
 * @param {string} name a description of the answer
 * @param {Promise<unknown>} answer
 * @param {unknown} expected
 */
async function check(name, answer, expected) {
  report({ kind: 'waiting', name });
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
  report({ kind: 'right', name, answer: describe(given) });
}

/** @returns {Promise<void>} fulfilled when the parent sends the command */
function commanded(command) {
  return new Promise((resolve) => {
    const listen = (message) => {
      if (message !== command) return;
      process.off('message', listen);
      resolve();
    };
    process.on('message', listen);
  });
}

/** Reports that this process has reached the point `name`. */
const reached = (name, details) => report({ kind: 'reached', name, details });

process.on('uncaughtException', (error) => fail(error.stack));
// If the parent ends first, this process must end as well.
process.on('disconnect', () => {
  if (!leaving) process.exit(1);
});

let leaving = false;
/** Disconnects from the parent, so that this process ends when it has no more work. */
function leave() {
  leaving = true;
  process.disconnect();
}

module.exports = { check, commanded, leave, reached, say, show };
