'use strict';

/**
 * The methods of 1.8.4 that a message passes through. A program may override, replace or spy on
 * each of them.
 *
 * @typedef {object} MessageMethods
 * @property {Function} send
 * @property {Function} _send_message
 * @property {Function} _on_recieved_object
 * @property {Function} _on_response_packet
 * @property {Function} _trigger_remote_callback
 */

/**
 * @param {MessageMethods} prototype of a client or server
 * @returns {MessageMethods} its methods as they are now
 */
function messageMethodsOf({
  send,
  _send_message,
  _on_recieved_object,
  _on_response_packet,
  _trigger_remote_callback,
}) {
  return {
    send,
    _send_message,
    _on_recieved_object,
    _on_response_packet,
    _trigger_remote_callback,
  };
}

module.exports = { messageMethodsOf };
