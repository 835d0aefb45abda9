'use strict';

const { uuid } = require('./internal/messaging/ids.js');

// A peer may send anything where a ping or a pong belongs.
const fieldsOf = (value) => (typeof value === 'object' && value !== null ? value : {});

/**
 * A question whether the peer is alive, and when it was asked, answered and concluded.
 *
 * The property names are what goes over the wire.
 */
class SockhopPing {
  /**
   * @param {object} [fields]
   * @param {string} [fields._id] identifies the ping; drawn if left out
   * @param {Date|string} [fields._created] when it was made; default now
   * @param {Date|string} [fields._returned] when the peer answered; default null
   * @param {Date|string} [fields._finished] when the answer arrived; default null
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
   * Concludes the ping if the pong is the answer to it; any other pong changes nothing.
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
 * The answer to a ping: the ping's `_id` and `_created`, and when it was answered.
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

  /** @type {?(Date|string)} when the answer arrived, as far as the sender of the ping told */
  get finished() {
    return this._finished;
  }
}

module.exports = { SockhopPing, SockhopPong };
