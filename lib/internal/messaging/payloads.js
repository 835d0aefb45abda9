'use strict';

/** @returns {boolean} whether a value has a constructor, whose name is the type of its message */
function isPayload(data) {
  return (
    data !== null &&
    data !== undefined &&
    data.constructor !== null &&
    data.constructor !== undefined
  );
}

/** @returns {string|undefined} the name of a value's class */
function typeName(value) {
  return value?.constructor?.name;
}

/**
 * JSON of any depth can be parsed, but only JSON of a limited depth can be written.
 *
 * @param {*} value parsed from JSON
 * @returns {boolean} whether it can be written as JSON
 */
function isWritable(value) {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * @returns {boolean} whether a message is the handshake of sockhop 2.x, not an object of a
 *   program's class of that name
 */
function isHandshake({ data, id }) {
  return typeof id === 'string' && Number.isInteger(data?.protocol_version);
}

/**
 * The types are those that `MessageChannel` handles itself.
 *
 * @returns {boolean} whether a message is for the package, and not an object for the program
 */
function isOwnMessage(message) {
  switch (message.type) {
    case 'SockhopPing':
    case 'SockhopPong':
    case 'SockhopRequest':
    case 'SockhopResponsePacket':
      return true;
    case 'SockhopHandshake':
      return isHandshake(message);
    default:
      return false;
  }
}

module.exports = { isHandshake, isOwnMessage, isPayload, isWritable, typeName };
