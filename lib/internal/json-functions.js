'use strict';

/*
 * A program may replace JSON.parse() and JSON.stringify(), to revive dates or to leave out
 * passwords for example. Then its functions get all messages, as in 1.8.4, and no message is
 * binary.
 */

const { parse, stringify } = JSON;
const { toString: sourceOf } = Function.prototype;

/** @returns {?Function} null if the program has replaced it before it loaded this package */
function builtIn(candidate, name) {
  const isNative = sourceOf.call(candidate).includes('[native code]');
  return isNative && candidate.name === name ? candidate : null;
}

const builtInParse = builtIn(parse, 'parse');
const builtInStringify = builtIn(stringify, 'stringify');

const isParseReplaced = () => JSON.parse !== builtInParse;
const isStringifyReplaced = () => JSON.stringify !== builtInStringify;

module.exports = { isParseReplaced, isStringifyReplaced, stringify };
