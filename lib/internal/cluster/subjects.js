'use strict';

const { createHash } = require('node:crypto');

const { invalidType, outOfRange } = require('../options/kinds.js');

/** A name that may be part of a subject as it is. */
const PLAIN_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const MAX_NAME_BYTES = 1024;
const HASH_CHARACTERS = 22;

/** The kind of subject over which each kind of message arrives; all others are for one node. */
const PLACES = {
  A: 'all',
  V: 'all',
  H: 'heartbeats',
  B: 'heartbeats',
  '?': 'heartbeats',
  G: 'group',
};

/** How many names are kept with their subjects. */
const MAX_KEPT = 4096;

/**
 * @param {*} name of a group
 * @returns {string} the same
 * @throws {TypeError | RangeError}
 */
function checkGroupName(name) {
  const expected = `a string of 1 to ${MAX_NAME_BYTES} bytes`;
  if (typeof name !== 'string') throw invalidType('The name of a group', expected, name);
  if (name === '' || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw outOfRange('The name of a group', expected, name);
  }
  return name;
}

/**
 * @param {string} kind of a message, one character
 * @returns {'all' | 'heartbeats' | 'node' | 'group'} the kind of subject over which it arrives
 */
function placeOf(kind) {
  return PLACES[kind] ?? 'node';
}

/** The subjects of a cluster, by which the broker distributes messages. */
class Subjects {
  #prefix;
  #wildcards;
  /** Subjects of groups, by their names. */
  #groups = new Map();

  /**
   * @param {string} prefix
   * @param {boolean} wildcards whether the engine can subscribe to all groups of a shard at once.
   *   Otherwise all groups of a shard share one subject
   */
  constructor(prefix, wildcards) {
    this.#prefix = prefix;
    this.#wildcards = wildcards;
    /** The subject of messages to all clients, and to all nodes. */
    this.all = `${prefix}.a`;
    /** The subject of heartbeats, and of questions to all nodes. */
    this.heartbeats = `${prefix}.h`;
  }

  /** The subject of messages to one node. */
  node(id) {
    return `${this.#prefix}.n.${id}`;
  }

  /** @returns {{subject: string, shard: number}} of messages to the members of a group */
  group(name) {
    let found = this.#groups.get(name);
    if (found === undefined) {
      const hash = createHash('sha256').update(name).digest();
      const shard = hash[0];
      const part = PLAIN_NAME.test(name)
        ? name
        : `=${hash.toString('base64url').slice(0, HASH_CHARACTERS)}`;
      const base = `${this.#prefix}.g.${shard}`;
      found = { shard, subject: this.#wildcards ? `${base}.${part}` : base };
      if (this.#groups.size >= MAX_KEPT) this.#groups.clear();
      this.#groups.set(name, found);
    }
    return found;
  }

  /** The subject of all groups of a shard. */
  shard(shard) {
    return `${this.#prefix}.g.${shard}.*`;
  }

  /** @returns {'all' | 'heartbeats' | 'node' | 'group' | null} null for one of another cluster */
  kindOf(subject) {
    if (subject === this.all) return 'all';
    if (subject === this.heartbeats) return 'heartbeats';
    if (subject.startsWith(`${this.#prefix}.g.`)) return 'group';
    return subject.startsWith(`${this.#prefix}.n.`) ? 'node' : null;
  }
}

module.exports = { Subjects, checkGroupName, placeOf };
