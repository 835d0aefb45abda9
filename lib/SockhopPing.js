'use strict';

const { uuid } = require('./internal/ids.js');
const { kOriginalMethods } = require('./internal/symbols.js');

// A peer may send any JSON instead of a ping or pong.
const fieldsOf = (value) => (typeof value === 'object' && value !== null ? value : {});

/**
 * A ping asks whether the peer is alive. It has the times at which it was sent, answered and
 * concluded.
 *
 * The property names are those of the protocol.
 */
class SockhopPing {
  /**
   * @param {object} [fields]
   * @param {string} [fields._id] identifies the ping; default: a new id
   * @param {Date|string} [fields._created] when the ping was made; default: now
   * @param {Date|string} [fields._returned] when the peer answered; default: null
   * @param {Date|string} [fields._finished] when the answer arrived; default: null
   */
  constructor(fields) {
    const { _id, _created, _returned, _finished } = fieldsOf(fields);
    this._id = _id || uuid();
    this._created = _created || new Date();
    this._returned = _returned || null;
    this._finished = _finished || null;
  }

  /**
   * @returns {boolean} whether no pong has concluded this ping yet
   */
  unanswered() {
    return this._finished === null;
  }

  /**
   * Concludes the ping if the pong answers it. Any other pong is ignored.
   *
   * @param {SockhopPong} pong
   */
  conclude_with_pong(pong) {
    const { _id, _returned } = fieldsOf(pong);
    if (_id !== this._id) return;
    this._returned = _returned;
    this._finished = new Date();
  }
}

/**
 * The answer to a ping, with the `_id` and `_created` of the ping and the time of the answer.
 */
class SockhopPong {
  /**
   * @param {object} [ping] the fields of the ping to answer
   */
  constructor(ping) {
    const { _id, _created, _returned, _finished } = fieldsOf(ping);
    this._id = _id || null;
    this._created = _created || null;
    this._returned = _returned || new Date();
    this._finished = _finished || null;
  }

  /** When the answer arrived, which only the sender of the ping knows. @type {?(Date|string)} */
  get finished() {
    return this._finished;
  }
}

/** The methods of the class before a program replaces them. */
const { conclude_with_pong, unanswered } = SockhopPing.prototype;
SockhopPing[kOriginalMethods] = { conclude_with_pong, unanswered };

module.exports = { SockhopPing, SockhopPong };
