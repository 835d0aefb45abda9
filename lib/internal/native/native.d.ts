// The binding, as src/node exports it. Written by "npm run types:native": do not edit.

/**
 * One connection of a server or a client, which `lib/SockhopSocket.js` shows to the program as a
 * `net.Socket`. Its events carry `id`.
 */
export declare class Connection {
  /** Unique among the connections of the process, past ones included. */
  get id(): number
  /**
   * Whether the other end is in this process and reads: an action of this end is in its event
   * queue already.
   */
  hasLoopbackPeer(): boolean
  /**
   * Sends a text of `length` UTF-16 units. Returns 0 if the kernel has all of it. Otherwise it
   * returns the position in the outgoing stream at which a `Flushed` event follows, -1 if the
   * connection is closed for sending, or -2 if the policy for slow consumers refuses the text.
   */
  write(text: unknown, length: number): number
  /**
   * Like `write`, for `count` frames whose texts are concatenated. `numbers` has three of each:
   * the length of its text in UTF-16 units, and the begin and the end of its data in `bytes`. A
   * frame without data is a text frame, with its terminator; the others are of `kind`.
   */
  writeFrames(text: unknown, length: number, bytes: Uint8Array, numbers: Uint32Array, count: number, kind: number): number
  /** Accepts binary frames, once the peer has announced them. */
  offerBinary(): void
  /**
   * Switches to `Raw` events without frames once the peer has said that it sends no more binary
   * frames.
   */
  expectBytes(): void
  /** Like `write`, for bytes that the program writes. */
  writeBytes(bytes: Uint8Array): number
  /** Holds pings, pongs and broadcasts back while the program writes bytes of its own. */
  hold(on: boolean): void
  /** How many bytes wait for the kernel, and the position at which a `Flushed` event follows. */
  waiting(): [number, number]
  /** Ends the outgoing direction after the sent bytes. Returns the same as `write`. */
  end(): number
  /**
   * Begins to read, unless `paused`. Returns whether the other end is in this environment: then
   * the messages of both are in the event queue already.
   */
  start(paused: boolean): boolean
  /** Reads once before `start`: the bytes become a `Raw` event and no frames. */
  readEarly(): void
  /** Stops reading before `start`. Returns how many bytes are in `Raw` events, past and future. */
  stopEarly(): number
  /** Takes the beginning of a frame that was read before `start`. */
  beginFrame(bytes: Uint8Array): void
  /** Stops reading. */
  pause(): void
  /** Reads again. */
  resume(): void
  /** Turns `Raw` events on or off; frames follow in either case. */
  setRaw(on: boolean): void
  /**
   * Turns `Raw` events on. The first one comes after the frames that were read before, and has
   * the beginning of the next frame, which may be empty.
   */
  beginRaw(): void
  /** Passes pings and pongs to JavaScript as frames, which then answers them. */
  setShowControl(on: boolean): void
  /** Switches to `Raw` events without frames. To be called before `start`. */
  setBytesOnly(): void
  /** Sends the next ping on this connection only, or finds it dead. */
  ping(): void
  /**
   * Like `ping`, but JavaScript sends the ping, which is the last of `pings`. Returns whether
   * there is one.
   */
  nextPing(): boolean
  /** Closes the connection in order, or with a reset. No event follows. */
  close(reset: boolean): void
  /** A duplicate of the descriptor, which the caller closes; -1 if there is none. */
  duplicate(): number
  /**
   * Drops the connection without ending it, because a duplicate of its descriptor is still in
   * use. False if bytes wait to be sent, or with TLS. No event follows.
   */
  release(): boolean
  /** The addresses of this end and the other. */
  addresses(): [EndAddress | undefined | null, EndAddress | undefined | null]
  /** The process at the other end of a Unix socket. */
  peerCredentials(): PeerCredentials | null
  /** `TCP_NODELAY`. */
  setNoDelay(on: boolean): void
  /** Keep-alive probes, the first after `initial_delay` milliseconds (0: the system's default). */
  setKeepAlive(on: boolean, initialDelay: number): void
  /** The last pings that were sent, oldest first. */
  pings(): Array<PingRecord>
  /** Forgets the pings sent so far. */
  clearPings(): void
  /** Takes the frame of a pong that was passed to JavaScript. */
  pong(frame: string): void
  /** The last round trip of a ping, in milliseconds. */
  roundTrip(): number | null
  /** The result of the TLS handshake; `None` for a plain or a closed connection. */
  agreement(): TlsAgreement | null
  /**
   * Counts `amount` bytes as unread that were dispatched, because the program has not taken
   * them.
   */
  retain(amount: number): void
  /** Reverts `retain`. */
  releaseRetained(amount: number): void
  /**
   * The time in milliseconds since bytes last arrived, or last left other than by a write of
   * JavaScript.
   */
  idleTime(): number
  /** The counters of bytes. */
  traffic(): Traffic
}

/** Events that JavaScript has not dispatched yet. */
export declare class EventQueue {
  /**
   * `dispatch(text, extras)` is called in the event loop of this environment when there are
   * events, which the `Uint32Array` `index` describes: see `IndexHeader` and `EventKind`. The
   * `Uint8Array` `bytes` has the binary frames of the batch.
   * `read_in_loop` allows the event loop to read quiet connections itself; this needs libuv.
   * Async hooks see `dispatch` as the resource: tools that look for open handles ask its
   * `hasRef()`.
   */
  constructor(dispatch: () => void, index: unknown, bytes: unknown, readInLoop: boolean)
  /** Keeps the event loop alive, or lets it end. */
  setKeepAlive(on: boolean): void
  /**
   * The next batch, if JavaScript has dispatched the last one: its text, and extras if there are
   * any.
   */
  take(): [string, unknown[] | undefined] | null
  /**
   * Blocks until the kernel has everything that was sent, or peers have taken nothing for
   * `patience` milliseconds, or `limit` milliseconds have passed.
   */
  drain(patience: number, limit: number): void
}

/** Cuts chunks of bytes into the text of frames. */
export declare class Framer {
  /**
   * A framer for frames that end with `terminator` and are no longer than `max_message_size`
   * bytes (`Infinity`: any length).
   */
  constructor(terminatorText: string, maxMessageSize: number)
  /**
   * Takes a chunk; returns `[text, ends, fits]`: the frames that it completes as one string, the
   * end of each in it, and whether all are within the limit. For a single frame within the limit
   * it returns the text alone, because the arrays cost more than everything else.
   */
  push(chunk: Uint8Array): string | [string, Uint32Array, boolean]
  /** The bytes of the incomplete frame. */
  pending(): Buffer
  /** Drops the incomplete frame. */
  clear(): void
}

/** A listening socket. */
export declare class Listener {
  /** Where it listens. */
  address(): EndAddress | null
  /**
   * Makes a connection from a socket that was accepted elsewhere. It uses a duplicate of the
   * descriptor, and the caller keeps `fd`. False if there are too many connections, or the
   * listener is closed; true if an event follows, because the listener secures connections.
   */
  adopt(fd: number): Connection | boolean
  /** A duplicate of the descriptor, which the caller closes; -1 if there is none. */
  duplicate(): number
  /** Connections above this number are closed at once. */
  setMaxConnections(max: number): void
  /**
   * Accepts the connections that wait in the kernel, and frees the address. Returns how many
   * connections were accepted in all.
   */
  closeAfterAccepting(): number
  /** Frees the address. */
  close(): void
}

/** Cuts chunks of bytes into frames, some of which are binary. */
export declare class MixedFramer {
  /** The arguments are those of `Framer`. Binary frames are accepted once they are announced. */
  constructor(terminatorText: string, maxMessageSize: number)
  /**
   * Takes a chunk; returns `[frames, fits]`: the frames that it completes, a text as a string and
   * a binary one with its header, and whether all are within the limit.
   */
  push(chunk: Uint8Array): [Array<string | Buffer>, boolean]
}

/** The native part of a client. */
export declare class SockhopClient {
  /** A client without an attempt. */
  constructor(queue: EventQueue, options: ConnectionOptions)
  /**
   * Begins an attempt, over TLS if there is `tls`; its event carries `id`. The next endpoint is
   * tried when the previous one has failed or taken `pace` milliseconds.
   */
  connect(id: number, endpoints: Array<Endpoint>, pace: number, tls?: TlsClientConfig | undefined | null): void
  /** Cancels the attempt in progress. */
  cancel(): void
  /** How often its connections reached a mark. */
  marks(): Marks
}

/** The native part of a server. */
export declare class SockhopServer {
  /** A server that does not listen. */
  constructor(queue: EventQueue, options: ConnectionOptions)
  /** Binds and accepts; events of the listener carry `id`. With `tls`, connections are secured. */
  listen(id: number, endpoint: Endpoint, options: ListenOptions, tls?: TlsAcceptor | undefined | null): Listener | ListenFailure
  /** Accepts at a socket that is bound, and takes its descriptor over if that succeeds. */
  listenOn(id: number, fd: number, backlog?: number | undefined | null, tls?: TlsAcceptor | undefined | null): Listener | ListenFailure
  /**
   * Makes a listener that does not accept: `adopt` takes connections that were accepted
   * elsewhere. With `endpoint`, it binds that, and other code accepts at a duplicate of its
   * descriptor.
   */
  listenElsewhere(id: number, tls?: TlsAcceptor | undefined | null, endpoint?: Endpoint | undefined | null, options?: ListenOptions | undefined | null): Listener | ListenFailure
  /**
   * Sends a text of `length` UTF-16 units to every connection, or to those in `group`, except
   * those whose ids are in `except`. A `BroadcastDone` event with `id` follows, unless that is
   * 0. Returns how many connections there are, those in `except` included.
   */
  deliver(text: unknown, length: number, group: string | undefined | null, except: Array<number> | undefined | null, id: number): number
  /** Like `deliver`, for the bytes of a frame, and to every connection. */
  deliverFrame(frame: Uint8Array, id: number): number
  /**
   * Like `deliver`, for a message of another node, or for several that `read_cluster_run` has
   * read: their payloads, in envelopes unless `json_mode`.
   */
  deliverMessage(message: Uint8Array, jsonMode: boolean, group?: string | undefined | null, except?: Array<number> | undefined | null): number
  /**
   * Adds a connection of this server to a group. False if it is in the group already, or not in
   * this server.
   */
  join(connection: Connection, group: string): boolean
  /** Removes a connection from a group. False if it is not in the group. */
  leaveGroup(connection: Connection, group: string): boolean
  /** The groups that a connection is in. */
  groups(connection: Connection): Array<string>
  /**
   * Sends the next ping, and reports connections as dead that left earlier ones unanswered.
   * JavaScript has the timer. A blocked program therefore does not ping, and reports no
   * connection as dead whose answers it has not read.
   */
  ping(): void
  /** How often its connections reached a mark. */
  marks(): Marks
}

/**
 * The native part of a session. From `enter_server` to `leave`, broadcasts and pings of the server
 * reach its connection.
 */
export declare class SockhopSession {
  /** A session that has not entered a server. */
  constructor()
  /** Removes the connection from the server. */
  leave(): void
}

/** Secures the connections of a server's listeners. */
export declare class TlsAcceptor {
  /**
   * At most `max_handshakes` run at a time, and each may take `handshake_timeout` milliseconds;
   * 0 is no limit.
   */
  constructor(config: TlsServerConfig, maxHandshakes: number, handshakeTimeout: number)
  /** New connections are secured by `config`. */
  setConfig(config: TlsServerConfig): void
  /** How many handshakes are under way. */
  running(): number
  /** How many handshakes have failed. */
  failures(): TlsFailures
}

/** How a client secures its connections. */
export declare class TlsClientConfig {
  /** Throws for options that rustls does not support. */
  constructor(trust: TlsTrustStore, options: TlsOptions)
}

/** How a server secures its connections. */
export declare class TlsServerConfig {
  /** Throws for options that rustls does not support. */
  constructor(options: TlsServerOptions)
}

/** The certificate authorities that a client trusts. */
export declare class TlsTrustStore {
  /** Trusts the certificates in `pem`; without it, the built-in ones of Mozilla. */
  constructor(pem?: Uint8Array | undefined | null)
}

/** OpenSSL's description of the error of a certificate for which Node has this code. */
export declare function certificateReason(code: string): string | null

/** The indices of the fields that [`read_cluster_line`] and [`read_cluster_run`] write. */
export declare enum ClusterField {
  /** The character code of the kind. */
  Kind = 0,
  /** The number of the message among all of its node. */
  Seq = 1,
  /** The number of the last message of the node to all nodes. */
  Bseq = 2,
  /** Bits. */
  Flags = 3,
  /** Where the type begins, in bytes: after the line. */
  TypeAt = 4,
  /** Where the extra fields begin. */
  ExtraAt = 5,
  /** Where the payload begins. */
  PayloadAt = 6,
  /** The length of the signature, 0 without one. */
  SignatureLength = 7,
  /** The number of messages, if there are several. */
  Count = 8,
  /** `Seq` of the last message, if there are several. */
  LastSeq = 9,
  /** `Bseq` of the last message, if there are several. */
  LastBseq = 10,
  /** The number of fields. */
  Length = 11,
}

/** The options of the connections of a client or server. */
export interface ConnectionOptions {
  /** Terminator of received frames. */
  receiveTerminator: string
  /** Terminator of sent frames. */
  transmitTerminator: string
  /** Bytes. */
  maxMessageSize: number
  /** Whether a connection continues when the peer has ended its direction. */
  allowHalfOpen: boolean
  /** `peer_type: "json"`. */
  jsonMode: boolean
  /** Pass pings and pongs to JavaScript. */
  showControl: boolean
  /** Bytes. */
  receiveHighWaterMark: number
  /** Bytes. */
  sendHighWaterMark: number
  /** `wait`, `drop` or `disconnect`. */
  slowConsumer: string
}

/** One end of a connection, or the address of a listener. */
export interface EndAddress {
  /** An IP address, or a path. */
  address: string
  /** The port, of an IP address. */
  port?: number
  /** `IPv4` or `IPv6`, of an IP address. */
  family?: string
  /** The number of the link, of a link-local address. */
  scope?: number
}

/** Where to connect or to listen: a path, or an IP address with a port. */
export interface Endpoint {
  /** A path of a Unix socket. */
  path?: string
  /** An IP address. JavaScript looks names up, as Node does. */
  address?: string
  /** A port. */
  port?: number
}

/**
 * Adds a connection to a server, because its session has started. False if `session` has entered
 * for another connection already, or was not constructed as a session (a Proxy, or an object that
 * inherits from a session). This is a function and not a method, so that one call does both.
 */
export declare function enterServer(session: unknown, server: SockhopServer, connection: Connection): boolean

/** The kinds of errors that events report, which JavaScript reads by the same names. */
export declare enum ErrorKind {
  /** A system call failed. */
  System = 0,
  /** The peer does not read fast enough, and is disconnected. */
  SlowConsumer = 1,
  /** TLS failed. */
  Tls = 2,
  /** A client has a certificate that is not trusted. */
  CertificateRefused = 3,
  /** The TLS handshake failed, and would fail again. */
  HandshakeFailed = 4,
  /** The connection broke during the TLS handshake. */
  HandshakeInterrupted = 5,
  /** The TLS handshake took too long. */
  HandshakeTimedOut = 6,
  /** A client was connected to itself, because no server listens there. */
  ConnectedToItself = 7,
}

/** The kind of an event, first number of its record. */
export declare enum EventKind {
  /**
   * Frames of a connection: `value` is their count, and as many ends of them in the text follow
   * the record.
   */
  Frames = 0,
  /**
   * Frames of a connection, some of them binary: `value` is their count, and two numbers of each
   * follow the record: its end in the text, and its end in the bytes. A text frame has no bytes.
   */
  MixedFrames = 1,
  /** A frame of its own among the extras. */
  LargeFrame = 2,
  /** A binary frame of its own: its text among the extras, and its bytes after that. */
  LargeBinaryFrame = 3,
  /** Received bytes, among the extras. */
  Raw = 4,
  /** A frame above the limit, which is among the extras. */
  TooLarge = 5,
  /** The peer has ended its direction. */
  Ended = 6,
  /** The connection is broken: `[kind, number, syscall]` among the extras, see `ErrorKind`. */
  Failed = 7,
  /** The kernel has everything up to the position among the extras. */
  Flushed = 8,
  /** Four pings in a row were not answered. The last kind of events of a connection. */
  Dead = 9,
  /** A broadcast has reached the kernel for each connection. */
  BroadcastDone = 10,
  /** A listener has a new connection, among the extras. */
  Accepted = 11,
  /** A listener has closed a connection at once: its two ends among the extras, or null. */
  Refused = 12,
  /** A listener could not accept: `[kind, number, syscall]` among the extras. */
  ListenerFailed = 13,
  /** An attempt to connect has succeeded: the connection is among the extras. */
  Connected = 14,
  /**
   * An attempt to connect has failed: `[index of the endpoint, kind, number, syscall, ...]` among
   * the extras.
   */
  ConnectFailed = 15,
  /**
   * A client of a listener did not complete the TLS handshake:
   * `[kind, number, syscall, ends, code, reason]` among the extras, see `Batch::handshake_failed`.
   */
  HandshakeFailed = 16,
}

/** Whether this process has OpenSSL, which verifies the certificates that rustls does not trust. */
export declare function hasOpenssl(): boolean

/** The first numbers of the index. */
export declare enum IndexHeader {
  /**
   * How many numbers of the index are in use. JavaScript sets it to 0 when it has dispatched the
   * batch.
   */
  Used = 0,
  /** Whether more events were waiting. */
  More = 1,
  /** Whether the runtime has dropped its native objects, and their methods must not be called. */
  Dropped = 2,
  /**
   * How often JavaScript has interrupted the batch because its time was up; JavaScript writes
   * it.
   */
  Interruptions = 3,
  /** Where records begin. */
  Length = 4,
}

/**
 * Whether JSON contains a string of `length` UTF-16 units unchanged between its quotes. With
 * `ascii_only`, true only for ASCII.
 */
export declare function isPlain(text: unknown, length: number, asciiOnly: boolean): boolean

/** Why the system refused a listener. */
export interface ListenFailure {
  /** The positive error number. */
  errno: number
  /** The system call that failed. */
  syscall: string
}

/** How to listen at an address. */
export interface ListenOptions {
  /** How many connections may wait to be accepted. */
  backlog: number
  /** The permissions of the file of a Unix socket, instead of those that the umask leaves. */
  mode?: number
  /** Permissions that are added to them. */
  addedMode: number
  /** Whether the file of a Unix socket is replaced if no server answers on it. */
  unlinkStale: boolean
  /** Whether an IPv6 address takes no IPv4 connections. */
  ipv6Only: boolean
  /** Whether other sockets may listen at the same address. */
  reusePort: boolean
}

/** How often the connections of a client or server reached a high-water mark. */
export interface Marks {
  /** `receive_high_water_mark`, or the mark that all connections share. */
  receive: number
  /** `send_high_water_mark`. */
  send: number
}

/** The process at the other end of a Unix socket. */
export interface PeerCredentials {
  /** Its id, if the system reports it. */
  pid?: number
  /** Its user. */
  uid: number
  /** Its group. */
  gid: number
}

/** A ping that was sent. */
export interface PingRecord {
  /** Its id. */
  id: string
  /** Milliseconds since 1970. */
  created: number
  /** The data of the answer, as JSON. */
  returned: string
  /** Milliseconds since 1970, once answered. */
  finished?: number
}

/** While more bytes than this wait for a peer, it gets no pongs. JavaScript does the same. */
export declare const PONG_LIMIT: number

/**
 * Reads the line of a message of another node. Writes its numbers to `fields`, and returns the id
 * of the node. `null`: the message is malformed, or of another version; then the first field is 1.
 */
export declare function readClusterLine(bytes: Uint8Array, fields: Float64Array): string | null

/**
 * Like [`read_cluster_line`], for messages that were published as one and that `deliver_messages`
 * can pass on together. Writes the fields of the first one. `null`: they are not alike.
 */
export declare function readClusterRun(bytes: Uint8Array, fields: Float64Array): string | null

/**
 * Reports an error of the program as uncaught. Unlike `throw` in JavaScript, it makes Node show
 * the line of the program that made the error.
 */
export declare function reportUncaught(error: unknown): void

/** The result of a handshake. */
export interface TlsAgreement {
  /** The peer's certificates in DER, its own first. */
  certificates: Array<Buffer>
  /** Why they are not trusted; undefined if they are. */
  untrusted?: TlsUntrusted
  /** TLS 1.3 was negotiated, not 1.2. */
  tls13: boolean
  /** The number of the cipher suite. */
  cipher: number
  /** The protocol that ALPN selected. */
  protocol?: Buffer
  /** On a server: the name that the client asked for. */
  servername?: string
  /** An earlier session was resumed. */
  resumed: boolean
}

/** The clients to trust. */
export interface TlsClientTrust {
  /** The trusted certificates, in PEM. */
  trusted: Uint8Array
  /** The authorities whose names are sent to clients, in PEM. */
  announced: Uint8Array
  /** Revocation lists, in PEM. */
  revoked: Uint8Array
  /** Whether the handshake fails without a trusted certificate. */
  required: boolean
}

/** How many handshakes of a server failed. */
export interface TlsFailures {
  /** Handshakes that failed for any reason. */
  all: number
  /** Those that took too long. */
  timedOut: number
}

/** A certificate chain and its private key, in PEM. */
export interface TlsIdentity {
  /** The chain, the server's own certificate first. */
  cert: Uint8Array
  /** The key. */
  key: Uint8Array
}

/** Options of [`TlsClientConfig`]. */
export interface TlsOptions {
  /** The client's certificate chain, in PEM. */
  cert?: Uint8Array
  /** The private key of the certificate, in PEM. */
  key?: Uint8Array
  /** The name for SNI. */
  servername?: string
  /** Protocol names for ALPN. */
  protocols: Array<Uint8Array>
  /** Allows TLS 1.2. */
  tls12: boolean
  /** Allows TLS 1.3. */
  tls13: boolean
  /** Limit for a handshake, in milliseconds; 0 is no limit. */
  handshakeTimeout: number
}

/** Options of [`TlsServerConfig`]. */
export interface TlsServerOptions {
  /** The first identity that suits a client is used. */
  identities: Array<TlsIdentity>
  /** Without it, clients are asked for no certificate. */
  clients?: TlsClientTrust
  /** Protocol names for ALPN. */
  protocols: Array<Uint8Array>
  /** Allows TLS 1.2. */
  tls12: boolean
  /** Allows TLS 1.3. */
  tls13: boolean
  /** Prefers its own order of cipher suites. */
  ownOrder: boolean
}

/** Why the certificate of a peer is not trusted. */
export interface TlsUntrusted {
  /** The code of Node. */
  code: string
  /** The message of OpenSSL. */
  reason: string
}

/** The counters of a connection. */
export interface Traffic {
  /** Bytes read. */
  bytesIn: number
  /** Bytes that the kernel took. */
  bytesOut: number
  /** Bytes waiting to go out. */
  queued: number
  /** Broadcasts refused for a slow consumer. */
  refused: number
  /** Bytes that JavaScript has not taken, each frame with 32 bytes more than its text. */
  unread: number
  /** The event loop reads the connection, and not an I/O thread. */
  inLoop: boolean
}

/**
 * The pings that are kept. If none of them is answered, the peer counts as dead. JavaScript does the
 * same for streams that the program brings.
 */
export declare const UNANSWERED_LIMIT: number

/** The version of this crate. The loader compares it with the version of the package. */
export declare const VERSION: string
