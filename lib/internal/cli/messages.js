'use strict';

const { UsageError } = require('./arguments.js');

/** The name of a class and its JSON: `Order {"item":1}`. */
const TYPED = /^([A-Za-z_$][\w$]*)\s+([{[].*)$/s;

/** @returns {object} with the fields of `value`, of a class with this name */
function typed(name, value) {
  const { [name]: Class } = { [name]: class {} };
  if (Array.isArray(value)) throw new UsageError(`a ${name} must be an object, not an array`);
  return Object.assign(new Class(), value);
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch (err) {
    throw new UsageError(`this is not JSON: ${err.message}`);
  }
}

/**
 * @param {string} text JSON, the name of a class with JSON, or a plain text
 * @returns {*} a value that can be sent
 * @throws {UsageError} for broken JSON, and for null
 */
function parseMessage(text) {
  const trimmed = text.trim();
  const [, name, body] = trimmed.match(TYPED) ?? [];
  if (name !== undefined) return typed(name, json(body));
  const isJson = /^[{["]|^(true|false|null|-?\d+(\.\d+)?)$/.test(trimmed);
  const value = isJson ? json(trimmed) : trimmed;
  if (value === null || value === '') throw new UsageError('there is nothing to send');
  return value;
}

/**
 * @param {*} expected
 * @param {*} actual
 * @returns {boolean} whether `actual` has everything that `expected` has
 */
function includes(expected, actual) {
  if (typeof expected !== 'object' || expected === null) return Object.is(expected, actual);
  if (typeof actual !== 'object' || actual === null) return false;
  if (Array.isArray(expected) !== Array.isArray(actual)) return false;
  return Object.entries(expected).every(
    ([name, value]) => Object.hasOwn(actual, name) && includes(value, actual[name]),
  );
}

module.exports = { includes, json, parseMessage };
