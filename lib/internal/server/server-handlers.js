'use strict';

const ObjectBuffer = require('../../ObjectBuffer.js');
const SockhopError = require('../../SockhopError.js');
const { diagnostics } = require('../diagnostics.js');
const { isBadFrame, reportError, reportSocketError } = require('../errors/report-error.js');
const { ignoreRejection } = require('../errors/errors.js');
const { MessageHandlers } = require('../messaging/handlers.js');
const { kMaxFrameSize } = require('../symbols.js');

/**
 * Handles the events of a server's message channels and of its listener.
 *
 * @implements {ChannelHandlers}
 */
class ServerHandlers extends MessageHandlers {
  #unregister;

  /**
   * @param {SockhopServer} server
   * @param {object} options checked
   * @param {MessageMethods} originalMethods
   * @param {function(MessageChannel): void} unregister takes a connection that is over from the
   *   server's lists
   */
  constructor(server, options, originalMethods, unregister) {
    super(server, options, originalMethods);
    this.#unregister = unregister;
  }

  get isServer() {
    return true;
  }

  callOnReceivedObject({ socket, session }, message) {
    this.target._on_recieved_object(message, socket, session);
  }

  callSend({ socket }, data) {
    ignoreRejection(this.target.send(socket, data));
  }

  callSendMessage({ socket }, message) {
    return this.target._send_message(socket, message);
  }

  callTriggerRemoteCallback({ socket }, id, data) {
    this.target._trigger_remote_callback(socket, id, data);
  }

  callOnResponsePacket({ socket }, packet) {
    this.target._on_response_packet(socket, packet);
  }

  encoder() {
    this.encoding ??= this.#objectBuffer(null);
    return this.encoding;
  }

  /**
   * @param {{terminator: string, allow_non_objects: boolean}} [reading] if it differs from the
   *   options
   */
  decoder(channel, reading) {
    channel.decoding ??= this.#objectBuffer(channel, reading);
    return channel.decoding;
  }

  #objectBuffer(channel, reading) {
    const { terminator, allow_non_objects, max_message_size } = { ...this.options, ...reading };
    const buffer = new ObjectBuffer({
      terminator,
      allow_non_objects,
      [kMaxFrameSize]: max_message_size,
    });
    // As in 1.8.4, nothing listens to an encoder: it throws its errors.
    if (channel !== null) buffer.on('error', (err) => this.#onBufferError(err, channel));
    return buffer;
  }

  #onBufferError(err, channel) {
    if (this.isDecoding || isBadFrame(err)) this.reportError(err, channel);
    else this.target.emit('error', err, channel.socket, channel.session);
  }

  sourceOf({ socket, session }) {
    return { server: this.target, socket, session };
  }

  metaFor({ socket, session }, type) {
    return { type, socket, session };
  }

  /**
   * A server's program may call `meta.callback()` with nothing: then it answers with an empty
   * object.
   */
  replyFunction(reply) {
    // Its name is shown when a program logs `meta`.
    const callback = (data = {}) => reply(data);
    return callback;
  }

  onRequest(request, response, { socket, session }) {
    this.target.emit('request', request, response, { socket, session });
  }

  responderFor(channel) {
    return channel.session;
  }

  responseStreams({ socket }) {
    return this.target._response_stream_maps.get(socket);
  }

  reportError(err, { socket, session }) {
    this.limits.count(err);
    diagnostics.error.publish({ server: this.target, socket, session, error: err });
    reportError(this.target, err, socket, session);
  }

  onSocketError(err, channel) {
    const { socket, session } = channel;
    this.limits.count(err);
    diagnostics.error.publish({ server: this.target, socket, session, error: err });
    reportSocketError(this.target, err, channel, socket, session);
  }

  /** Counts and emits an error that belongs to no connection. The server continues to listen. */
  reportServerError(err) {
    this.limits.count(err);
    diagnostics.error.publish({ server: this.target, error: err });
    reportError(this.target, err, null, null);
  }

  /**
   * Emits the error of a client that did not complete the TLS handshake, which is counted
   * elsewhere.
   */
  onHandshakeFailed(err) {
    diagnostics.error.publish({ server: this.target, error: err });
    reportError(this.target, err, null, null);
  }

  /**
   * The listener has closed a connection because the limit of connections was reached.
   *
   * @param {number} max
   * @param {boolean} isProgramLimit whether the program has set the limit on the listener itself:
   *   then it is only counted
   */
  onConnectionRefused(max, isProgramLimit) {
    const err = new SockhopError(
      `A connection was closed at once: ${max} are open, which is the limit ("max_connections")`,
      'ERR_TOO_MANY_CONNECTIONS',
    );
    if (isProgramLimit) this.limits.count(err);
    else this.reportServerError(err);
  }

  /**
   * Emits `end` on the socket, as 1.8.4 does, because listeners of the program on the socket get it
   * as well.
   */
  onDeadSocket({ socket }) {
    socket.emit('end');
  }

  onUnresponsive({ socket }) {
    ignoreRejection(this.target.kill_socket(socket));
  }

  onConnectionOver(channel) {
    this.#unregister(channel);
  }
}

module.exports = { ServerHandlers };
