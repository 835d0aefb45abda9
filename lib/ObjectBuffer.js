'use strict';

const { EventEmitter } = require('node:events');

const { Framer } = require('./Framer.js');
const SockhopError = require('./SockhopError.js');
const { checkTerminator } = require('./options.js');

/**
 * Objects to frames and back, for programs that have a byte stream of their own.
 *
 * @fires ObjectBuffer#error (err)
 */
class ObjectBuffer extends EventEmitter {
  #framer;
  #transmit;
  #allowNonObjects;

  /**
   * @param {object} [opts]
   * @param {string|string[]} [opts.terminator="\n"] ends a frame; `[receive, transmit]` if they differ
   * @param {boolean} [opts.allow_non_objects=false] frames that are not JSON are strings, and `obj2buf` takes
   *   any value
   * @throws {TypeError} for a terminator that is none
   */
  constructor(opts = {}) {
    super();
    const [receive, transmit] = checkTerminator(
      'The "options.terminator" property',
      opts?.terminator,
    );
    this.#framer = new Framer(receive, Number.POSITIVE_INFINITY);
    this.#transmit = transmit;
    this.#allowNonObjects = opts?.allow_non_objects === true;
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @param {Buffer} buffer
   * @param {{return_buffers?: boolean}} [opts] with `return_buffers`: `{value, buffer}` instead of the
   *   object, with the bytes of its frame, without the terminator
   * @returns {Array} the objects that are complete now
   */
  buf2obj(buffer, opts) {
    if (!Buffer.isBuffer(buffer)) {
      this.emit(
        'error',
        new SockhopError(
          'buf2obj called with what is no Buffer (buf2obj called with non buffer object)',
          'ERR_OBJECTBUFFER_BAD_BUFFER',
        ),
      );
      return [];
    }
    const { frames } = this.#framer.push(buffer);
    const withBuffers = opts?.return_buffers === true || opts === true;
    const objects = [];
    for (const frame of frames) {
      let value;
      try {
        value = JSON.parse(frame);
      } catch {
        if (!this.#allowNonObjects) {
          this.emit(
            'error',
            new SockhopError(
              'Skipping corrupted data in buffer',
              'ERR_OBJECTBUFFER_BAD_BUFFER_DATA',
            ),
          );
          continue;
        }
        value = frame;
      }
      objects.push(withBuffers ? { value, buffer: Buffer.from(frame) } : value);
    }
    return objects;
  }

  /**
   * @param {*} object
   * @returns {Buffer|undefined} its frame; undefined after an `error` event, for what is no object
   */
  obj2buf(object) {
    if (!this.#allowNonObjects && typeof object !== 'object') {
      this.emit(
        'error',
        new SockhopError(
          'obj2buf called with non object type (set allow_non_objects if you want this behavior)',
          'ERR_OBJECTBUFFER_BAD_OBJECT',
        ),
      );
      return undefined;
    }
    return Buffer.from(JSON.stringify(object) + this.#transmit);
  }
}

module.exports = ObjectBuffer;
