'use strict';

/*
 * The fields of requests and response packets, as a program or a peer gives them.
 */

/**
 * @returns {string} the type of a payload: the name of its class
 * @throws {TypeError} for null, undefined and an object without a constructor
 */
function typeOf(data) {
  const dataClass = data?.constructor;
  if (dataClass === undefined || dataClass === null) {
    const err = new TypeError(
      `Cannot send ${data === null || data === undefined ? data : 'an object without a constructor'}: ` +
        'the type of a message is the name of its constructor',
    );
    err.code = 'ERR_BAD_DATA';
    throw err;
  }
  return dataClass.name;
}

/**
 * Whether a message of a peer has the fields of a request or a response packet, with usable values.
 */
function isPacket(message) {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return false;
  const { uuid, data, type } = message;
  if (uuid && typeof uuid !== 'string' && typeof uuid !== 'number') return false;
  if (typeof type === 'string' && type !== '') return true;
  return data === undefined || (data !== null && typeof data.constructor !== 'object');
}

/** A type that is not a string is ignored, and made from the payload again. */
const withValidType = (message) =>
  typeof message.type === 'string' ? message : { ...message, type: undefined };

module.exports = { isPacket, typeOf, withValidType };
