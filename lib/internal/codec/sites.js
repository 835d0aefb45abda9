'use strict';

/** How many of the last shapes at a site are known besides the last two. */
const RECENT = 64;
/**
 * After this many objects in a row of unknown shapes, or of shapes that none of the last objects
 * had, V8 stringifies the next ones: as many as SKIPPED, and each time twice as many.
 */
const MISSES = 8;
const SKIPPED = 256;
const MAX_SKIPPED_UNKNOWN = 1024;
const MAX_SKIPPED_KNOWN = 8192;

/** A place in payloads: the objects there mostly have one shape, or a few in turn. */
class Site {
  /** The shape of the last object: @type {?Shape} */
  shape = null;
  /** The shape before that one. */
  other = null;
  /** The site of the elements, if arrays stand here. */
  elements = null;
  /** How many objects V8 is to stringify. */
  skip = 0;
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
    this.#miss(MAX_SKIPPED_KNOWN);
  }

  /** An object has no known shape. */
  missed() {
    this.#miss(MAX_SKIPPED_UNKNOWN);
  }

  #miss(maxSkipped) {
    this.#hits = 0;
    this.#misses = (this.#misses + 1) % MISSES;
    if (this.#misses > 0) return;
    this.skip = Math.min(this.#nextSkip, maxSkipped);
    this.#nextSkip = Math.min(2 * this.#nextSkip, MAX_SKIPPED_KNOWN);
  }
}

module.exports = { Site };
