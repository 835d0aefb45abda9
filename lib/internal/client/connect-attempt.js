'use strict';

const { AsyncResource } = require('node:async_hooks');
const { isIP } = require('node:net');

const { late } = require('../late.js');
const { clientName, debug } = require('../diagnostics.js');
const { abortError } = require('../errors/errors.js');
const { describeAttempt } = require('../errors/explanations.js');
const { chainable, tolerate } = require('../messaging/bare-then.js');
const { ErrorKind, kCancel, kConnect } = require('../native/classes.js');
const { attempts, KeepAlive, nextId } = require('../native/dispatcher.js');
const options = require('../options/options.js');
const { setImmediate } = require('../real-timers.js');
const { kAttachConnection, kMoveToStream } = require('../symbols.js');
const { SockhopSocket } = require('../../SockhopSocket.js');
const { attemptDelay, socketName } = require('../addresses.js');
const { PendingConnection } = require('../transport/pending-connection.js');
const { attemptError, timedOut } = require('./connect-errors.js');
const { connectNet, connectTls, isNetReplaced, isTlsReplaced } = require('./node-connect.js');

/** Parts for TLS, host names and signals, see late.js. */
const load = {
  aborts: late(() => require('../abort-signals.js')),
  lookup: late(() => require('../transport/lookup.js')),
  errors: late(() => require('../tls/tls-errors.js')),
  connector: late(() => require('../tls/tls-connector.js').TlsConnector),
  socket: late(() => require('../transport/tls-socket.js').SockhopTlsSocket),
};

/**
 * One attempt of a client to connect: from `connect()` until there is a connection, an error, or
 * `cancel()`.
 *
 * The native side connects. Node connects instead if the program replaced Node's functions for
 * connecting, or if the options or the server need OpenSSL. An attempt may begin natively and
 * continue with OpenSSL.
 */
class ConnectAttempt {
  /** The connection of the client: it gets the socket of this attempt, and the outcome. */
  #connection;
  /** The path, or the address and port, to connect to. */
  #target = null;
  /** The endpoints that the native side tries, in their order. */
  #endpoints = [];
  /**
   * Secures the native connection and verifies the server; null without native TLS.
   *
   * @type {?TlsConnector}
   */
  #connector = null;
  /** Names the attempt in events of the native side. */
  #id = nextId();
  /** Ends the attempt after `connect_timeout`. */
  #timer = null;
  /** Whether later attempts begin with OpenSSL if this one succeeds with it. */
  #prefersOpenssl = false;
  /** Whether the attempt has succeeded or failed, or was cancelled. */
  #isOver = false;
  /** Keeps the process alive during the attempt. */
  #keepAlive = new KeepAlive();
  /** The asynchronous context of `connect()`. */
  #scope = new AsyncResource('SOCKHOPCLIENT');
  /** Cancels the attempt when it is aborted: @type {?AbortSignal} */
  #signal;
  #stopListening = () => {};
  /** The promise of `connect()`: @type {?Promise<void>} */
  #promise = null;
  /** Settle that promise. */
  #resolve = null;
  #reject = null;

  /**
   * @param {import('./client-connection.js').ClientConnection} connection
   * @param {AbortSignal} [signal]
   */
  constructor(connection, signal) {
    this.#connection = connection;
    this.#signal = signal;
    /**
     * The socket that is being connected, `client.socket` to the program. The connection assigns
     * it.
     *
     * @type {?Duplex}
     */
    this.socket = null;
  }

  /**
   * @returns {Promise<void>} fulfilled after the `connect` event; rejects with the reason of
   *   failure
   */
  start() {
    this.#promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#keepAlive.start();
    const signal = this.#signal;
    if (signal) {
      this.#stopListening = load.aborts().onAbort(signal, () => this.cancel(abortError(signal)));
    }
    this.#connect();
    return chainable(this.#promise);
  }

  /** Ends the attempt. */
  cancel(err) {
    this.#fail(err);
  }

  /** @returns {boolean} whether a socket is the one that this attempt is connecting */
  isConnecting(socket) {
    return !this.#isOver && this.socket === socket;
  }

  async #connect() {
    const { client } = this.#connection;
    // The time for looking up the name counts as well.
    this.#timer = setTimeout(() => this.#timeOut(), client._connect_timeout);
    this.#timer?.unref?.();
    try {
      this.#target = targetOf(client);
      if (client._ssl) {
        this.#connector = this.#tlsConnector();
        if (this.#connector === null) return this.#connectWithOpenssl();
        debug?.('%s: connects, with native TLS', clientName(client));
        this.#connection.assign(new (load.socket())(this.#pendingConnection()), this);
      } else {
        if (isNetReplaced()) return this.#connectWithNet();
        debug?.('%s: connects', clientName(client));
        this.#connection.assign(new SockhopSocket(this.#pendingConnection()), this);
      }
      this.#endpoints = await this.#endpointsOfTarget();
      if (!this.#isOver) this.#connectNatively();
    } catch (err) {
      this.#fail(err);
    }
  }

  // ---- natively ---------------------------------------------------------------------------------

  #pendingConnection() {
    return new PendingConnection(this.#connection.options);
  }

  /** @returns {?TlsConnector} null if OpenSSL has to connect */
  #tlsConnector() {
    const { client, needsOpenssl, options: settings } = this.#connection;
    if (needsOpenssl || isTlsReplaced()) return null;
    return load
      .connector()
      .from(client._ssl_options, this.#target.address, settings.handshake_timeout);
  }

  /** @returns {Promise<object[]>|object[]} the endpoints of the target, in their order */
  #endpointsOfTarget() {
    const { path, address } = this.#target;
    if (path || isIP(address) !== 0) return [this.#target];
    return load.lookup().resolveEndpoints(this.#target, this.socket);
  }

  #connectNatively() {
    const endpoints = this.#endpoints.map(({ path, address, port }) =>
      path ? { path: socketName(path) } : { address, port },
    );
    // This side times the attempt out, with the timers of the program.
    const { client } = this.#connection;
    attempts.set(this.#id, this);
    client[kConnect](this.#id, endpoints, attemptDelay(), this.#connector?.client);
  }

  /** The native side has connected. */
  connected(nativeConnection) {
    this.#scope.runInAsyncScope(this.#connected, this, nativeConnection);
  }

  /** The native side could not connect. */
  failed(failures) {
    this.#scope.runInAsyncScope(this.#failed, this, failures);
  }

  #connected(nativeConnection) {
    const { socket } = this;
    if (socket.destroyed) return nativeConnection.close(false);
    if (this.#connector === null) socket[kAttachConnection](nativeConnection);
    else if (!this.#isTrusted(nativeConnection)) return;
    // A server in this process accepts the connection in the same turn, and starts its session
    // first.
    setImmediate(() => this.#succeed(socket));
  }

  /**
   * @returns {boolean} whether the server is trusted; if not, the attempt fails or continues with
   *   OpenSSL
   */
  #isTrusted(nativeConnection) {
    let result;
    try {
      result = this.#connector.verify(nativeConnection.agreement());
    } catch (err) {
      // `checkServerIdentity()` of the program threw.
      result = { error: err };
    }
    if (result.details) {
      this.socket[kAttachConnection](nativeConnection, result.details);
      return true;
    }
    nativeConnection.close(false);
    if (result.needsOpenssl) {
      // The certificate will be the same next time, so later attempts begin with OpenSSL.
      this.#connection.needsOpenssl = true;
      this.#tryOpenssl(true);
    } else this.#fail(result.error, true);
    return false;
  }

  /**
   * @param {Array} failures an index into the endpoints, and the kind, the errno and the syscall of
   *   the error, for each endpoint that failed
   */
  #failed(failures) {
    const [, kind] = failures;
    switch (kind) {
      case ErrorKind.HandshakeTimedOut:
        return this.#fail(load.errors().handshakeTimedOut());
      case ErrorKind.HandshakeFailed:
        return this.#tryOpenssl(true);
      case ErrorKind.HandshakeInterrupted:
        return this.#tryOpenssl(false);
    }
    this.#fail(attemptError(this.#endpoints, failures), true);
  }

  // ---- through Node -----------------------------------------------------------------------------

  #connectWithNet() {
    debug?.('%s: connects, through node:net', clientName(this.#connection.client));
    this.#connectStream((connected) => connectNet(this.#target, connected));
  }

  #connectWithOpenssl() {
    const { client } = this.#connection;
    debug?.('%s: connects, with TLS of OpenSSL', clientName(client));
    const stream = this.#connectStream((connected) =>
      connectTls(this.#target, client._ssl_options, connected),
    );
    const { handshakeTimedOut } = load.errors();
    let timer = null;
    stream.once('connect', () => {
      if (stream.destroyed) return;
      timer = setTimeout(
        () => this.#fail(handshakeTimedOut()),
        this.#connection.options.handshake_timeout,
      );
      timer.unref?.();
    });
    stream.once('close', () => clearTimeout(timer));
    stream.once('secureConnect', () => {
      clearTimeout(timer);
      if (this.#prefersOpenssl) this.#connection.needsOpenssl = true;
    });
  }

  /**
   * Continues with OpenSSL, which may succeed where the native side did not. If OpenSSL fails too,
   * the error is Node's.
   *
   * @param {boolean} isLasting whether later attempts begin with OpenSSL if this one succeeds
   */
  #tryOpenssl(isLasting) {
    this.#prefersOpenssl = isLasting;
    try {
      this.#connectWithOpenssl();
    } catch (err) {
      this.#fail(err);
    }
  }

  /**
   * @param {function(function(): void): Duplex} open is given a function to call when the stream is
   *   connected
   * @returns {Duplex}
   */
  #connectStream(open) {
    let stream = null;
    let isEarly = false;
    const connected = () => {
      // A function of the program may call back before it returns the stream.
      if (stream === null) isEarly = true;
      else this.#succeed(stream);
    };
    stream = open(connected);
    const before = this.socket;
    this.#connection.assign(stream, this);
    before?.[kMoveToStream](stream);
    if (isEarly) setImmediate(connected);
    return stream;
  }

  // ---- the outcome ------------------------------------------------------------------------------

  #succeed(socket) {
    if (this.#isOver) return;
    this.#end();
    this.#connection.established(socket, this.#resolve);
  }

  #timeOut() {
    const how = { ...this.#connection.options, late: true };
    // The program may have been busy, and the connection may be there and not yet reported.
    setImmediate(() => this.#fail(describeAttempt(timedOut(), this.#target, how)));
  }

  /**
   * @param {Error} err
   * @param {boolean} [isEmitted=false] whether the socket also emits the error
   */
  #fail(err, isEmitted = false) {
    if (this.#isOver) return;
    debug?.('%s: could not connect: %s', clientName(this.#connection.client), err.message);
    describeAttempt(err, this.#target, this.#connection.options);
    this.#end();
    this.#connection.client[kCancel]();
    // The program itself has ended the attempt: in 1.8.4 the promise stays pending.
    if (err.code === 'ERR_SOCKET_DESTROYED') tolerate(this.#promise);
    this.#reject(err);
    this.#connection.attemptFailed(this.socket, err, isEmitted);
  }

  #end() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    attempts.delete(this.#id);
    this.#keepAlive.stop();
    this.#stopListening();
    this.#connection.attemptEnded();
  }
}

/**
 * Where a client connects to.
 *
 * @throws {TypeError|RangeError} if the program assigned an invalid value
 */
function targetOf({ path, address, port }) {
  if (path) return { path: options.checkPath('The "path" property', path) };
  const checkedPort = options.checkPort('The "port" property', port);
  // As `net` does if a program has assigned no address.
  const host = address || 'localhost';
  return { address: options.checkAddress('The "address" property', host), port: checkedPort };
}

module.exports = { ConnectAttempt };
