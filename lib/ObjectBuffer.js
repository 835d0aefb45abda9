'use strict';

const { EventEmitter } = require('node:events');

const { late } = require('./internal/late.js');
const { describeFrame } = require('./internal/errors/explanations.js');
const SockhopError = require('./SockhopError.js');
const { checkTerminator } = require('./internal/options/options.js');
const { kMaxFrameSize, kOriginalMethods, kHasOversizedFrame } = require('./internal/symbols.js');
const { markTargetHidden, supportProxies } = require('./internal/proxy-support.js');

/**
 * Parts for programs that use an ObjectBuffer, see late.js. Others load this file only for its
 * methods.
 */
const loadFramer = late(() => require('./internal/transport/framer.js').Framer);

/**
 * Encodes objects as frames and decodes them, for programs with a byte stream of their own.
 *
 * @fires ObjectBuffer#error (err)
 */
class ObjectBuffer extends EventEmitter {
  #framer;
  /** The terminator that the framer divides frames at. */
  #terminator;
  /** The beginning of the next frame, if the program has assigned `_buffer`: @type {?Buffer} */
  #beginning = null;
  #limit;

  /**
   * @param {object} [opts]
   * @param {string|string[]} [opts.terminator="\n"] ends a frame; `[receive, transmit]` if they
   *   differ
   * @param {boolean} [opts.allow_non_objects=false] frames that are not JSON are strings, and
   *   `obj2buf` takes any value
   * @throws {TypeError} for a terminator that is not a string, or is empty
   */
  constructor(opts = {}) {
    super();
    markTargetHidden(this);
    const [receive, transmit] = checkTerminator(
      'The "options.terminator" property',
      opts?.terminator,
    );
    this.#terminator = receive;
    // The ObjectBuffer of a connection has a limit, and its channel asks whether a frame was
    // longer.
    this.#limit = opts?.[kMaxFrameSize] ?? Number.POSITIVE_INFINITY;
    this.#framer = new (loadFramer())(receive, this.#limit);
    this._rx_terminator = receive;
    this._tx_terminator = transmit;
    this._allow_non_objects = opts?.allow_non_objects === true;
  }

  /**
   * The bytes of the frame that has not ended yet. Assigning null discards them.
   *
   * @type {?Buffer}
   */
  get _buffer() {
    const pending = this.#framer.pending();
    if (this.#beginning !== null) return Buffer.concat([this.#beginning, pending]);
    return pending.length > 0 ? pending : null;
  }

  set _buffer(bytes) {
    this.#framer.clear();
    this.#beginning = bytes?.length > 0 ? Buffer.from(bytes) : null;
  }

  /**
   * Divides bytes into frames. The program may have assigned `_rx_terminator` or `_buffer` before.
   */
  #split(chunk) {
    if (this._rx_terminator !== this.#terminator) {
      const [receive] = checkTerminator('The "_rx_terminator" property', this._rx_terminator);
      this._buffer = this._buffer;
      this.#terminator = receive;
      this.#framer = new (loadFramer())(receive, this.#limit);
    }
    if (this.#beginning === null) return this.#framer.push(chunk);
    const bytes = Buffer.concat([this.#beginning, chunk]);
    this.#beginning = null;
    return this.#framer.push(bytes);
  }

  /**
   * Decodes the next bytes of the stream.
   *
   * @param {Buffer} buffer
   * @param {{return_buffers?: boolean}} [opts] with `return_buffers`: `{value, buffer}` instead of
   *   the object, with the bytes of its frame, without the terminator
   * @returns {Array} the objects that the bytes complete
   */
  buf2obj(buffer, opts) {
    if (!Buffer.isBuffer(buffer)) {
      this.emit(
        'error',
        new SockhopError('buf2obj called with non buffer object', 'ERR_OBJECTBUFFER_BAD_BUFFER'),
      );
      // As in 1.8.4: a listener of `error` that returns lets a string be decoded.
      if (typeof buffer !== 'string') return [];
    }
    const { frames, fits } = this.#split(typeof buffer === 'string' ? Buffer.from(buffer) : buffer);
    if (!fits) this[kHasOversizedFrame] = true;
    const withBuffers = opts?.return_buffers === true || opts === true;
    const objects = [];
    for (const frame of frames) {
      let value;
      try {
        value = JSON.parse(frame);
      } catch {
        if (!this._allow_non_objects) {
          const err = new SockhopError(
            'Skipping corrupted data in buffer',
            'ERR_OBJECTBUFFER_BAD_BUFFER_DATA',
          );
          this.emit('error', describeFrame(err, frame));
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
   * @returns {Buffer|undefined} its frame; undefined, after an `error` event, for a value that is
   *   not an object
   */
  obj2buf(object) {
    if (!this._allow_non_objects && typeof object !== 'object') {
      this.emit(
        'error',
        new SockhopError(
          'obj2buf called with non object type (set allow_non_objects if you want this behavior)',
          'ERR_OBJECTBUFFER_BAD_OBJECT',
        ),
      );
      return undefined;
    }
    return Buffer.from(JSON.stringify(object) + this._tx_terminator);
  }
}

supportProxies(ObjectBuffer);

/** The methods of the class before a program replaces them. */
const { buf2obj, obj2buf } = ObjectBuffer.prototype;
ObjectBuffer[kOriginalMethods] = { buf2obj, obj2buf };

module.exports = ObjectBuffer;
