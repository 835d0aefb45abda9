'use strict';

const { MAX_NAMES } = require('./format.js');

/** How many of the last shapes at a site are known in addition to the last two. */
const RECENT = 64;
/**
 * After this many objects in a row whose shapes are unknown or new at the site, V8 stringifies the
 * next SKIPPED objects, and twice as many each further time. Up to half of the number is added at
 * random, because objects may repeat in cycles of any length.
 */
const MISSES = 8;
const SKIPPED = 256;
const MAX_SKIPPED = 8192;
/**
 * While V8 still stringifies, the names of objects are then compared with those of earlier objects,
 * until this many have names that repeat, or this many have other names.
 */
const COMPARED = 24;

/** Finds out whether the names of objects repeat. */
class Probe {
  /** The last different lists of names. */
  #seen = [];
  #oldest = 0;
  /** The lists that have repeated since the last `restart()`. @type {string[][]} */
  repeated = [];
  others = 0;

  /** Begins to count, and still knows the last lists. */
  restart() {
    this.repeated = [];
    this.others = 0;
  }

  /** @param {string[]} names of the properties of an object */
  add(names) {
    const key = names.length > MAX_NAMES ? '' : JSON.stringify(names);
    if (key !== '' && this.#seen.includes(key)) {
      this.repeated.push(names);
      return;
    }
    this.others += 1;
    this.#seen[this.#oldest] = key;
    this.#oldest = (this.#oldest + 1) % RECENT;
  }
}

/** A place in payloads: the objects there mostly have one shape, or a few in turn. */
class Site {
  /** The shape of the last object: @type {?Shape} */
  shape = null;
  /** The shape before that one. */
  other = null;
  /** The site of the elements, if the values here are arrays. */
  elements = null;
  /** How many more objects V8 stringifies. */
  skip = 0;
  /** Set while it is undecided whether V8 stringifies further objects: @type {?Probe} */
  #probe = null;
  #misses = 0;
  /** How many shapes in a row were among the last ones. */
  #hits = 0;
  #nextSkip = SKIPPED;
  /** The last shapes that were looked up: @type {?Shape[]} */
  #recent = null;
  /** The place of the next one, once there are RECENT. */
  #oldest = 0;

  /** An object has a shape that was looked up. */
  found(shape) {
    this.other = this.shape;
    this.shape = shape;
    this.#recent ??= [];
    const isRecent = this.#recent.includes(shape);
    if (isRecent || this.#recent.length < RECENT) {
      if (!isRecent) this.#recent.push(shape);
      this.#misses = 0;
      this.#hits += 1;
      if (this.#hits >= MISSES) this.#nextSkip = SKIPPED;
      return;
    }
    this.#recent[this.#oldest] = shape;
    this.#oldest = (this.#oldest + 1) % RECENT;
    this.missed();
  }

  /** An object has no known shape. */
  missed() {
    this.#hits = 0;
    this.#misses += 1;
    if (this.#misses < MISSES) return;
    this.#misses = 0;
    this.#probe = new Probe();
    this.#skipNext();
  }

  #skipNext() {
    this.skip = this.#nextSkip + Math.floor((Math.random() * this.#nextSkip) / 2);
    this.#nextSkip = Math.min(2 * this.#nextSkip, MAX_SKIPPED);
  }

  /** Whether V8 stringifies the objects while `probe()` gets their names. */
  get isProbing() {
    return this.#probe !== null;
  }

  /**
   * @param {string[]} names of an object that V8 stringifies
   * @returns {?string[][]} lists of names that are to be shapes, if the names repeat: then objects
   *   are written again
   */
  probe(names) {
    const probe = this.#probe;
    probe.add(names);
    if (probe.repeated.length === COMPARED) {
      this.#probe = null;
      this.#nextSkip = SKIPPED;
      return probe.repeated;
    }
    if (probe.others === COMPARED) {
      probe.restart();
      this.#skipNext();
    }
    return null;
  }
}

module.exports = { Site };
