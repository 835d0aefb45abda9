'use strict';

/** After this many messages of a connection that V8 stringifies, only some of them are examined. */
const SEEN_LEFT = 64;
/** How many messages may pass between two of them. */
const MAX_PAUSE = 32;

/** The shapes and ids that the peer knows, for one direction of a connection. */
class ShapeTable {
  /** The numbers of shapes on the connection, by their numbers in this process. */
  numbers = [];
  /** The shapes, by their numbers on the connection. */
  shapes = [];
  /** The names of all of them. */
  nameCount = 0;
  /** The beginning of the id of the last question. */
  prefix = '';
  /** Whether the peer must forget all shapes and ids. */
  mustReset = false;
  /** How many messages are sent as JSON before the next one is looked at. */
  pause = 0;
  /** How many messages in a row were left to V8. */
  #leftToV8 = 0;

  /**
   * A message is left to V8, as `skip` more of its kind will be.
   *
   * @returns {number} how many of those are left to V8 without a look at them
   */
  leave(skip) {
    this.#leftToV8 += 1;
    if (this.#leftToV8 > SEEN_LEFT) this.pause = Math.min(skip, MAX_PAUSE);
    return this.pause;
  }

  /** A message is not left to V8. */
  resume() {
    this.#leftToV8 = 0;
  }

  add(shape) {
    this.numbers[shape.index] = this.shapes.length;
    this.shapes.push(shape);
    this.nameCount += shape.names.length;
  }

  /** Forgets all shapes but the first ones: the message that defines the others is not sent. */
  truncate(count) {
    while (this.shapes.length > count) {
      const { index, names } = this.shapes.pop();
      this.numbers[index] = undefined;
      this.nameCount -= names.length;
    }
  }

  /** A message was not sent, so the peer does not know the shapes that it defined. */
  reset() {
    this.truncate(0);
    this.prefix = '';
    this.mustReset = true;
  }
}

module.exports = { ShapeTable };
