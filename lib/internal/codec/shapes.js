'use strict';

const { MAX_NAME_LENGTH, MAX_NAMES, NUMBER } = require('./format.js');

/*
 * The shapes of objects that this process sends: lists of names of properties, in order.
 */

/** How many shapes are kept in all. Objects of others are sent as JSON. */
const MAX_KNOWN = 1024;
/** A list of names becomes a shape when it has appeared this often. */
const SIGHTINGS = 2;
/** How many lists of names are counted. */
const MAX_CANDIDATES = 1024;

/**
 * Other names that no shape has. `rawJSON` is the property of results of `JSON.rawJSON()`, and
 * objects with `toJSON` are asked.
 */
const EXCLUDED = new Set(['__proto__', 'rawJSON', 'toJSON']);

const isName = (name) =>
  name.length <= MAX_NAME_LENGTH && !EXCLUDED.has(name) && !NUMBER.test(name);

/** The shapes by their names: each node has the nodes of the names that may follow. */
const root = { shape: null, next: new Map() };
let count = 0;
/** How often lists of names that are not shapes have appeared. */
const candidates = new Map();

function find(names) {
  let node = root;
  for (const name of names) {
    node = node.next.get(name);
    if (node === undefined) return null;
  }
  return node.shape;
}

function add(names, shape) {
  let node = root;
  for (const name of names) {
    let next = node.next.get(name);
    if (next === undefined) {
      next = { shape: null, next: new Map() };
      node.next.set(name, next);
    }
    node = next;
  }
  node.shape = shape;
  count += 1;
}

/**
 * @param {string[]} names of the properties of an object
 * @param {function(string[], number): object} make makes the shape, with its number in this process
 * @param {number} [appearances] of the names that are counted
 * @returns {?object} null if there is none, or not yet
 */
function shapeOf(names, make, appearances = 1) {
  const known = find(names);
  if (known !== null) return known;
  if (names.length === 0 || names.length > MAX_NAMES) return null;
  if (count >= MAX_KNOWN || !names.every(isName)) return null;
  const key = JSON.stringify(names);
  const sightings = (candidates.get(key) ?? 0) + appearances;
  if (sightings < SIGHTINGS) {
    if (candidates.size >= MAX_CANDIDATES) candidates.clear();
    candidates.set(key, sightings);
    return null;
  }
  candidates.delete(key);
  const made = make(names, count);
  add(names, made);
  return made;
}

module.exports = { shapeOf };
