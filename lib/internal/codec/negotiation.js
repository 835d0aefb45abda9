'use strict';

/*
 * How two ends of this package find out that both speak the codec. Other peers and programs do not
 * notice it.
 *
 * An end that can read binary frames makes an offer when a connection has some traffic: eight
 * blanks between the JSON of a message and its terminator. JSON.parse() ignores them. Clients and
 * servers have different blanks, so that a peer that returns its input makes no offer.
 *
 * An end that gets an offer may send binary frames; a text frame of other blanks announces them,
 * which the native side understands (src/protocol/mixed_framer.rs). If it has made no offer itself,
 * it makes one at once, in a text frame that consists of it.
 */

const OF_CLIENT = '\t\t \t  \t\t';
const OF_SERVER = '\t \t\t \t \t';
/** A text frame: the offer is no longer valid. */
const WITHDRAWAL = '\t \t \t \t\t';
/**
 * A text frame: the offer is no longer valid, and no binary frames follow. The program of the
 * sender has switched to its own protocol, so there may be no more frames at all. The same as
 * FAREWELL of the native side. An end that may have sent binary frames returns it, unless it has
 * sent one.
 */
const FAREWELL = '\t  \t\t \t\t';
/** A text frame: binary frames may follow. The same as SWITCH of the native side. */
const SWITCH = '\t\t\t\t\t\t\t\t';

/** The last character of each. */
const LAST = '\t'.charCodeAt(0);

/**
 * @param {object} options checked
 * @returns {boolean} whether connections with these options may speak the codec
 */
function isCodecAllowed({ codec, values, peer_type, debug, terminator }) {
  return (
    codec === 'auto' &&
    values !== 'rich' &&
    peer_type === 'Sockhop' &&
    !debug &&
    // A terminator must not end a frame within an offer.
    terminator.every((text) => !/[\t ]/.test(text))
  );
}

module.exports = { FAREWELL, LAST, OF_CLIENT, OF_SERVER, SWITCH, WITHDRAWAL, isCodecAllowed };
