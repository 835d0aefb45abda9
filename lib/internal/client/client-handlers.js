'use strict';

const ObjectBuffer = require('../../ObjectBuffer.js');
const { diagnostics } = require('../diagnostics.js');
const { idleTimeout, ignoreRejection } = require('../errors/errors.js');
const { isBadFrame, reportError, reportSocketError } = require('../errors/report-error.js');
const { MessageHandlers } = require('../messaging/handlers.js');
const { kMaxFrameSize } = require('../symbols.js');

/**
 * Handles the events of a client's message channel.
 *
 * @implements {ChannelHandlers}
 */
class ClientHandlers extends MessageHandlers {
  callOnReceivedObject(_channel, message) {
    this.target._on_recieved_object(message);
  }

  callSend(_channel, data) {
    ignoreRejection(this.target.send(data));
  }

  callSendMessage(_channel, message) {
    return this.target._send_message(message);
  }

  callTriggerRemoteCallback(_channel, id, data) {
    this.target._trigger_remote_callback(id, data);
  }

  callOnResponsePacket(_channel, packet) {
    this.target._on_response_packet(packet);
  }

  encoder() {
    return this.decoder();
  }

  decoder() {
    if (this.decoding === null) {
      const { terminator, allow_non_objects, max_message_size } = this.options;
      const buffer = new ObjectBuffer({
        terminator,
        allow_non_objects,
        [kMaxFrameSize]: max_message_size,
      });
      buffer.on('error', (err) => {
        if (this.isDecoding || isBadFrame(err)) this.reportError(err);
        else this.target.emit('error', err);
      });
      this.objectBuffer = buffer;
    }
    return this.decoding;
  }

  /** A client has one ObjectBuffer for both directions. */
  set objectBuffer(buffer) {
    this.encoding = buffer;
    this.decoding = buffer;
  }

  sourceOf({ socket }) {
    return { client: this.target, socket };
  }

  metaFor(_channel, type) {
    return { type };
  }

  replyFunction(reply) {
    return reply;
  }

  onRequest(request, response) {
    this.target.emit('request', request, response);
  }

  responderFor() {
    return this.target;
  }

  responseStreams() {
    return this.target._response_stream_map;
  }

  reportError(err) {
    this.limits.count(err);
    this.emitError(err);
  }

  onSocketError(err, channel) {
    this.limits.count(err);
    diagnostics.error.publish({ client: this.target, error: err });
    reportSocketError(this.target, err, channel);
  }

  /** Emits an error that no limit counts, such as that of an attempt to reconnect. */
  emitError(err) {
    diagnostics.error.publish({ client: this.target, error: err });
    reportError(this.target, err);
  }

  onDeadSocket(channel) {
    this.#endConnection(channel);
  }

  onUnresponsive(channel) {
    this.#endConnection(channel);
  }

  /** Nothing was sent or received for the time of "idle_timeout". */
  onIdle(channel) {
    if (this.target.socket !== channel.socket) return;
    try {
      this.reportError(idleTimeout(channel.options.idle_timeout));
    } finally {
      this.#endConnection(channel);
    }
  }

  /** Ends the connection of the client, unless it has another one by now. */
  #endConnection({ socket }) {
    if (this.target.socket === socket) this.target._end_socket();
  }
}

module.exports = { ClientHandlers };
