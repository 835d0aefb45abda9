/// <reference types="node" />

import type { X509Certificate } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions, DetailedPeerCertificate, PeerCertificate } from 'node:tls';

// biome-ignore lint/suspicious/noExplicitAny: what a peer sends may be anything, and programs know better
type Anything = any;

/** What can be sent: everything but `null` and `undefined`, which have no constructor to name. */
type Sendable = NonNullable<unknown>;

/** A server whatever its sessions and payloads are. */
type AnyServer = SockhopServer<Anything, Anything, Anything>;

type Listener<Args> = Args extends unknown[] ? (...args: Args) => void : never;

/** An event that is not among `Events`: a program may emit and hear events of its own. */
type Other<Event, Events> = Event extends keyof Events ? never : Event;

/**
 * An EventEmitter that knows its events. `Events` maps the name of each to the tuple of its arguments.
 */
declare class Emitter<Events> extends EventEmitter {
  addListener<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this;
  addListener<E extends string | symbol>(
    event: Other<E, Events>,
    listener: (...args: Anything[]) => void,
  ): this;

  on<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this;
  on<E extends string | symbol>(
    event: Other<E, Events>,
    listener: (...args: Anything[]) => void,
  ): this;

  once<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this;
  once<E extends string | symbol>(
    event: Other<E, Events>,
    listener: (...args: Anything[]) => void,
  ): this;

  prependListener<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this;
  prependListener<E extends string | symbol>(
    event: Other<E, Events>,
    listener: (...args: Anything[]) => void,
  ): this;

  prependOnceListener<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this;
  prependOnceListener<E extends string | symbol>(
    event: Other<E, Events>,
    listener: (...args: Anything[]) => void,
  ): this;

  off<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this;
  off<E extends string | symbol>(
    event: Other<E, Events>,
    listener: (...args: Anything[]) => void,
  ): this;

  removeListener<E extends keyof Events>(event: E, listener: Listener<Events[E]>): this;
  removeListener<E extends string | symbol>(
    event: Other<E, Events>,
    listener: (...args: Anything[]) => void,
  ): this;

  emit<E extends keyof Events>(
    event: E,
    ...args: Events[E] extends unknown[] ? Events[E] : never
  ): boolean;
  emit<E extends string | symbol>(event: Other<E, Events>, ...args: Anything[]): boolean;
}

// ---------------------------------------------------------------------------------------------- options

/** How frames end: one string for both directions, or `[receive, transmit]`. None may be empty. */
export type Terminator = string | readonly [receive: string, transmit: string];

/** Who is at the other end: a sockhop program, or something that speaks bare JSON. */
export type PeerType = 'Sockhop' | 'json';

/**
 * What happens to a peer that does not take what is sent to it once `send_high_water_mark` is reached:
 * the promise of `send()` waits; the message is refused (ERR_BACKPRESSURE); the peer is cut off
 * (ERR_SLOW_CONSUMER).
 */
export type SlowConsumerPolicy = 'wait' | 'drop' | 'disconnect';

/** What client and server can both be given. A falsy value means the default. */
export interface SockhopOptions {
  /** Path of a Unix socket or a named pipe; wins over `address` and `port`. Default: none. */
  path?: string | null | undefined;
  /** IP address or host name to connect to or to listen on. Default: `"127.0.0.1"`. */
  address?: string | null | undefined;
  /**
   * TCP port, 0 to 65535. For a server 0 is an ephemeral port; for a client 0 is the default.
   * Default: `50000`.
   */
  port?: number | string | null | undefined;
  /** How long a request waits for the end of its answers, in ms. Default: `30000`. */
  response_timeout?: number | null | undefined;
  /**
   * `"json"`: frames are bare JSON values, without types, callbacks and requests; anything else means
   * `"Sockhop"`. Default: `"Sockhop"`.
   */
  peer_type?: PeerType | (string & NonNullable<unknown>) | null | undefined;
  /** How frames end, measured in UTF-8 bytes. Default: `"\n"`. */
  terminator?: Terminator | null | undefined;
  /** Deliver frames that are not JSON as strings instead of reporting them. Default: `false`. */
  allow_non_objects?: boolean | null | undefined;

  /** The longest frame that is accepted, in bytes, terminator not counted. Default: `134217728` (128 MiB). */
  max_message_size?: number | null | undefined;
  /** How many callbacks may wait for their answers, per connection; 8388608 at most. Default: `1000000`. */
  max_pending_callbacks?: number | null | undefined;
  /** How long a callback waits for its answer, in ms; 0: as long as the connection lasts. Default: `0`. */
  callback_timeout?: number | null | undefined;
  /** How long a TLS handshake may take, in ms. Default: `120000`. */
  handshake_timeout?: number | null | undefined;
  /** How long a connection may be silent in both directions, in ms; 0: for ever. Default: `0`. */
  idle_timeout?: number | null | undefined;
  /**
   * How many received bytes may wait to be delivered before reading stops, per connection.
   * Default: `1048576` (1 MiB).
   */
  receive_high_water_mark?: number | null | undefined;
  /**
   * How many bytes may wait to be sent before `slow_consumer` applies, per connection.
   * Default: `16777216` (16 MiB).
   */
  send_high_water_mark?: number | null | undefined;
  /** What happens past `send_high_water_mark`. Default: `"wait"`. */
  slow_consumer?: SlowConsumerPolicy | null | undefined;
  /** Emit `sending` and `received` with the bytes of each frame. Default: `false`. */
  debug?: boolean | null | undefined;
  /**
   * As `EventEmitter` takes it: what an asynchronous handler rejects with is emitted as `error`.
   * Default: `EventEmitter.captureRejections`.
   */
  captureRejections?: boolean | undefined;
}

/** Options of a client. A falsy value means the default; unknown options are ignored, with a warning where one looks like a mistake. */
export interface SockhopClientOptions extends SockhopOptions {
  /** Use TLS. Default: `false`, or `true` if `ssl_options` has any key. */
  ssl?: boolean | null | undefined;
  /** Options of `tls.connect()`. Default: `{}`. */
  ssl_options?: ConnectionOptions | null | undefined;
  /** How often a client without a connection tries while `auto_reconnect` is on, in ms. Default: `2000`. */
  auto_reconnect_interval?: number | null | undefined;
  /** How long `connect()` tries, TLS handshake included, in ms. Default: `5000`. */
  connect_timeout?: number | null | undefined;
}

/** Options of a server. A falsy value means the default; unknown options are ignored, with a warning where one looks like a mistake. */
export interface SockhopServerOptions<Session extends SockhopSession = SockhopSession>
  extends SockhopOptions {
  /** The class a session is made of for each connection, or what makes one. Default: `SockhopSession`. */
  session_type?: SessionClass<Session> | SessionMaker | null | undefined;
  /** How many connections may be open at a time; more are closed at once. Default: `Infinity`. */
  max_connections?: number | null | undefined;
}

/** The class of a session: `SockhopSession` or a class that extends it. */
export interface SessionClass<Session = SockhopSession> {
  new (sock: SockhopSocket, server: Anything): Session;
  _from_socket(sock: SockhopSocket, server: Anything): Promise<Anything>;
}

/** What makes sessions in another way: it may give each connection a session of another class. */
export interface SessionMaker {
  _from_socket(sock: SockhopSocket, server: Anything): Anything;
  /** A class is a `SessionClass`. */
  prototype?: undefined;
}

/** What can be told to one request. */
export interface RequestOptions {
  /** How long to wait for the end of the answers, in ms. Default: `response_timeout`. */
  timeout?: number | null | undefined;
  /** Ends the stream with the signal's reason. Default: none. */
  signal?: AbortSignal | null | undefined;
}

/** What can be told to `connect()`. */
export interface AbortOptions {
  /** Gives up, and rejects with an AbortError. Default: none. */
  signal?: AbortSignal | null | undefined;
}

/** What can be told to `listen()`. */
export interface ListenOptions {
  /** Gives up, and rejects with an AbortError; later on, stops listening. Default: none. */
  signal?: AbortSignal | null | undefined;
  /** In a worker of `node:cluster`: shares the address with no other worker. Default: `false`. */
  exclusive?: boolean | null | undefined;
}

// --------------------------------------------------------------------------------------------- messages

/** What is known of an answer to a callback. */
export interface CallbackMeta {
  /** The class name of the object. */
  type: string | undefined;
}

/** Called with the answer the peer gives; at most once. */
export type RemoteCallback<Reply = Anything> = (object: Reply, meta: CallbackMeta) => void;

/** What a client knows of an object it received. */
export interface ClientReceiveMeta<Out = Sendable> {
  /** The class name of the object; `undefined` for a JSON value that is no envelope. */
  type: string | undefined;
  /** Answers; there only if the peer asked for an answer. */
  callback?: (object: Out) => void;
}

/** What a server knows of an object it received. */
export interface ServerReceiveMeta<
  Session extends SockhopSession = SockhopSession,
  Out = Sendable,
> {
  /** The class name of the object; `undefined` for a JSON value that is no envelope. */
  type: string | undefined;
  /** The connection it came from. */
  socket: SockhopSocket;
  /** The session of that connection. */
  session: Session;
  /** Answers, with an empty object if called without one; there only if the peer asked for an answer. */
  callback?: (object?: Out) => void;
}

/** Where a request came from. */
export interface ServerRequestMeta<Session extends SockhopSession = SockhopSession> {
  socket: SockhopSocket;
  session: Session;
}

/** Figures since the object was made; sizes in bytes as they went over the wire. */
export interface SockhopStats {
  /** Connections open now. */
  connections: number;
  messages_received: number;
  messages_sent: number;
  bytes_received: number;
  bytes_sent: number;
  /** Bytes that wait to be sent. */
  queued_bytes: number;
  /** Callbacks that wait for an answer. */
  pending_callbacks: number;
  /** Messages longer than `max_message_size`. */
  oversized_messages: number;
  /** Connections beyond `max_connections`. */
  refused_connections: number;
  /** Messages not sent because of `max_pending_callbacks`. */
  refused_callbacks: number;
  /** Callbacks not answered within `callback_timeout`. */
  timed_out_callbacks: number;
  /** TLS handshakes that took longer than `handshake_timeout`. */
  handshake_timeouts: number;
  /** Connections ended by `idle_timeout`. */
  idle_timeouts: number;
  /** Messages not sent because of `slow_consumer`. */
  refused_messages: number;
  /** Connections cut off because of `slow_consumer`. */
  slow_consumers: number;
  /** Frames that were not JSON, or not what their kind of message must be. */
  bad_frames: number;
  /** How often `auto_reconnect` could not connect, for whatever reason; of a server always 0. */
  failed_reconnects: number;
  /** How long the last answered ping took, in ms; `null` before there is one. */
  round_trip: number | null;
}

// ----------------------------------------------------------------------------------------------- errors

/**
 * An error of this package.
 */
export class SockhopError extends Error {
  /**
   * @param message what happened, for people
   * @param code what happened, for programs
   * @param options the error underneath, as `Error` takes it
   */
  constructor(message?: string, code?: string, options?: { cause?: unknown });
  /** What happened, for programs: one of `SockhopErrorCode`, or a program's own. */
  code: string | undefined;
  /** Of a bad frame: how it begins, at most 64 characters and escaped. */
  data?: string;
  /** Of a bad frame that came over TCP: the peer's address. */
  address?: string;
  /** Of a bad frame that came over TCP: the peer's port. */
  port?: number;
}

/** The codes of `SockhopError`s; API.md has a table of all codes, with causes and remedies. */
export type SockhopErrorCode =
  | 'ERR_MULTICONNECT'
  | 'ERR_SOCKET_DESTROYED'
  | 'ERR_REMOTE_CALLBACK_TYPE'
  | 'ERR_REQUEST_TYPE'
  | 'ERR_NO_SOCKET'
  | 'ERR_BAD_DATA'
  | 'ERR_OBJECTBUFFER_BAD_BUFFER'
  | 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA'
  | 'ERR_OBJECTBUFFER_BAD_OBJECT'
  | 'ERR_RESPONSE_TIMEOUT'
  | 'ERR_RESPONSE_SEND'
  | 'ERR_RESPONSE_ENDED'
  | 'ERR_MESSAGE_TOO_LARGE'
  | 'ERR_BACKPRESSURE'
  | 'ERR_SLOW_CONSUMER'
  | 'ERR_TOO_MANY_CONNECTIONS'
  | 'ERR_TOO_MANY_CALLBACKS'
  | 'ERR_CALLBACK_TIMEOUT'
  | 'ERR_IDLE_TIMEOUT';

/** What an `error` event carries: an error of this package, of the system, or of a session's `start()`. */
export type AnyError = SockhopError | NodeJS.ErrnoException;

// ---------------------------------------------------------------------------------------------- sockets

/**
 * A connection, as `net.Socket` shows it. One object a connection, the same in every event.
 */
export class SockhopSocket extends Socket {
  /** Whether the connection uses TLS. */
  readonly encrypted?: boolean;
  /** Whether the peer's certificate was accepted; TLS only. */
  readonly authorized?: boolean;
  /** Why it was not, as its code, or `null`; TLS only. */
  readonly authorizationError?: string | Error | null;
  /** The application protocol agreed on, or `false`; TLS only. */
  readonly alpnProtocol?: string | false | null;
  /** The name the server was asked for, or `false`; TLS only. */
  readonly servername?: string | false | null;
  /** The peer's certificate; TLS only. */
  getPeerCertificate?(detailed: true): DetailedPeerCertificate;
  getPeerCertificate?(detailed?: boolean): PeerCertificate;
  /** The peer's certificate as an object of `node:crypto`; TLS only. */
  getPeerX509Certificate?(): X509Certificate | undefined;
  /** The version of TLS, such as `"TLSv1.3"`; TLS only. */
  getProtocol?(): string | null;
  /** The cipher agreed on; TLS only. */
  getCipher?(): { name: string; standardName: string; version: string };
  /** The session to resume; TLS only, and `undefined` where TLS is native. */
  getSession?(): Buffer | undefined;
  /** The ticket of the session; TLS only, and `undefined` where TLS is native. */
  getTLSTicket?(): Buffer | undefined;
  /** Whether the session was resumed; TLS only, and `false` where TLS is native. */
  isSessionReused?(): boolean;
}

/**
 * What listens: a `net.Server`, with its methods, properties and events. A program may put another one in its
 * place, before or after `listen()`.
 */
export interface SockhopListener extends Server {}

// ----------------------------------------------------------------------------------------------- client

/** The events of a client and their arguments. */
export interface SockhopClientEvents<In = Anything, Out = Sendable> {
  /** The connection is there. */
  connect: [sock: SockhopSocket];
  /** The connection is gone, by whichever side; once for each `connect`. */
  disconnect: [sock: SockhopSocket];
  /** The server sent an object. */
  receive: [object: In, meta: ClientReceiveMeta<Out>];
  /** The server sent a request. */
  request: [req: SockhopRequest<In>, res: SockhopResponseWriteableStream<Out>];
  /** Something went wrong that no promise tells about. */
  error: [err: AnyError];
  /** With the option `debug`: a frame is about to be sent. */
  sending: [object: Anything, buffer: Buffer];
  /** With the option `debug`: a frame was received. */
  received: [object: Anything, buffer: Buffer];
}

/**
 * A client.
 *
 * @typeParam In what the server sends
 * @typeParam Out what is sent to the server
 */
export class SockhopClient<In = Anything, Out = Sendable> extends Emitter<
  SockhopClientEvents<In, Out>
> {
  /** @throws TypeError or RangeError that names the option that is not what it must be */
  constructor(opts?: SockhopClientOptions);

  /** Path of a Unix socket, or `null`; a change counts from the next `connect()`. */
  path: string | null;
  /** IP address or host name; a change counts from the next `connect()`. */
  address: string;
  /** TCP port; a change counts from the next `connect()`. */
  port: number | string;
  /**
   * Connect by itself whenever there is no connection, at the next beat of `auto_reconnect_interval`;
   * `disconnect()` turns it off.
   */
  auto_reconnect: boolean;
  /** Whether there is a connection. */
  get connected(): boolean;
  /** Whether `sending` and `received` are emitted. */
  debug: boolean;
  /** The connection; assigning a stream makes the client speak through it. */
  get socket(): SockhopSocket | null | undefined;
  set socket(stream: Duplex | null | undefined);
  /** The pings of late, at most four. */
  pings: SockhopPing[];
  /** What sends the pings, or `null`. */
  interval_timer: NodeJS.Timeout | null;

  /**
   * Connects. Fulfilled after the `connect` event, and at once if connected.
   *
   * Rejects with ERR_MULTICONNECT while an earlier call is under way, with the system's error, with
   * `Timeout exceeded on connect()`, or with an AbortError.
   */
  connect(options?: AbortOptions): Promise<void>;
  /** Ends the connection, and turns pinging and `auto_reconnect` off. */
  disconnect(): Promise<void>;
  /**
   * The local IP address.
   *
   * @throws SockhopError ERR_NO_SOCKET without a connection
   */
  get_bound_address(): string;
  /**
   * Sends an object. Fulfilled when the system has taken it; rejects with ERR_SOCKET_DESTROYED without a
   * connection.
   *
   * @param callback called with the answer, if the server answers
   * @throws TypeError for what has no constructor; SockhopError ERR_REMOTE_CALLBACK_TYPE for a callback
   *   that is no function or that a JSON peer could not answer
   */
  send<Reply = Anything>(object: Out, callback?: RemoteCallback<Reply>): Promise<void>;
  /** Sends a request. Fulfilled with the stream of answers once it is sent. */
  request<Reply = Anything>(
    object: Out,
    config?: RequestOptions,
  ): Promise<SockhopResponseReadableStream<Reply>>;
  /**
   * Pings the server. Four pings in a row without an answer end the connection.
   *
   * @param delay the interval in ms; 0 turns pinging off. Default: `0`
   */
  ping(delay?: number): void;
  /** Figures about this client. */
  stats(): SockhopStats;
  /** `disconnect()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

// ----------------------------------------------------------------------------------------------- server

/** The events of a server and their arguments. */
export interface SockhopServerEvents<
  Session extends SockhopSession = SockhopSession,
  In = Anything,
  Out = Sendable,
> {
  /** A client is connected and its session has started. */
  connect: [sock: SockhopSocket, session: Session];
  /** A client is gone and its session has ended. */
  disconnect: [sock: SockhopSocket, session: Session];
  /** A client sent an object. */
  receive: [object: In, meta: ServerReceiveMeta<Session, Out>];
  /** A client sent a request. */
  request: [
    req: SockhopRequest<In>,
    res: SockhopResponseWriteableStream<Out>,
    meta: ServerRequestMeta<Session>,
  ];
  /** Something went wrong, with a connection or, if `sock` is `null`, with the server itself. */
  error: [err: AnyError, sock: SockhopSocket | null, session: Session | null];
  /** With the option `debug`: a frame is about to be sent, to any client. */
  sending: [object: Anything, buffer: Buffer];
  /** With the option `debug`: a frame was received, from any client. */
  received: [object: Anything, buffer: Buffer];
}

/**
 * A server.
 *
 * @typeParam Session the class of the sessions; follows from the option `session_type`
 * @typeParam In what clients send
 * @typeParam Out what is sent to clients
 */
export class SockhopServer<
  Session extends SockhopSession = SockhopSession,
  In = Anything,
  Out = Sendable,
> extends Emitter<SockhopServerEvents<Session, In, Out>> {
  /** @throws TypeError or RangeError that names the option that is not what it must be */
  constructor(opts?: SockhopServerOptions<Session>);

  /** Path of a Unix socket, or `null`; a change counts from the next `listen()`. */
  path: string | null;
  /** IP address or host name; a change counts from the next `listen()`. */
  address: string;
  /** TCP port; a change counts from the next `listen()`. */
  port: number | string;
  /** What listens. */
  server: SockhopListener;
  /** The connections; `sockets[i]` belongs to `sessions[i]`. */
  get sockets(): SockhopSocket[];
  /** The sessions; `sessions[i]` belongs to `sockets[i]`. */
  get sessions(): Session[];
  /** The pings of late of each connection, at most four. */
  pings: Map<SockhopSocket, SockhopPing[]>;
  /** What sends the pings, or `null`. */
  interval_timer: NodeJS.Timeout | null;

  /**
   * Listens. Rejects with the system's error (which is also emitted, if anyone listens for it), or with
   * an AbortError.
   */
  listen(options?: ListenOptions): Promise<SockhopListener>;
  /** Ends all connections and stops listening; `listen()` works again afterwards. */
  close(): Promise<void>;
  /** Ends all connections and turns pinging off; the server goes on listening. */
  disconnect(): Promise<unknown>;
  /** Ends one connection. */
  kill_socket(sock: SockhopSocket): Promise<void>;
  /**
   * The local IP address, or `undefined` for a Unix socket.
   *
   * @throws SockhopError ERR_NO_SOCKET while the server does not listen
   */
  get_bound_address(): string;
  /**
   * Sends an object to one client. Fulfilled when the system has taken it; rejects with ERR_NO_SOCKET
   * without a socket, with ERR_SOCKET_DESTROYED if the connection is gone.
   *
   * @param callback called with the answer, if the client answers
   * @throws SockhopError ERR_BAD_DATA for what is falsy; ERR_REMOTE_CALLBACK_TYPE for a callback that is
   *   no function or that a JSON peer could not answer
   */
  send<Reply = Anything>(
    sock: Socket,
    object: Out,
    callback?: RemoteCallback<Reply>,
  ): Promise<void>;
  /** Sends an object to all clients; connections found dead are removed. */
  sendall(object: Out): Promise<unknown>;
  /** Sends a request to one client. Fulfilled with the stream of answers once it is sent. */
  request<Reply = Anything>(
    sock: Socket,
    object: Out,
    config?: RequestOptions,
  ): Promise<SockhopResponseReadableStream<Reply>>;
  /**
   * Pings all clients. Four pings in a row without an answer end a connection.
   *
   * @param delay the interval in ms; 0 turns pinging off. Default: `0`
   */
  ping(delay?: number): void;
  /** Emits an event in a later turn of the event loop. */
  emit_async<E extends keyof SockhopServerEvents<Session, In, Out>>(
    event: E,
    ...args: SockhopServerEvents<Session, In, Out>[E]
  ): void;
  emit_async<E extends string | symbol>(
    event: Other<E, SockhopServerEvents<Session, In, Out>>,
    ...args: Anything[]
  ): void;
  /** Figures about this server and all its connections. */
  stats(): SockhopStats;
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

// ------------------------------------------------------------------------------------------ diagnostics

/** What the channels `sockhop:connect` and `sockhop:disconnect` of `node:diagnostics_channel` carry. */
export type ConnectionDiagnostics =
  | { client: SockhopClient<Anything, Anything>; socket: Socket }
  | { server: AnyServer; socket: Socket; session: SockhopSession };

/** What the channel `sockhop:error` of `node:diagnostics_channel` carries. */
export interface ErrorDiagnostics {
  /** Whose error it is, if it is a client's. */
  client?: SockhopClient<Anything, Anything>;
  /** Whose error it is, if it is a server's. */
  server?: AnyServer;
  /** The connection it is about, if it is a server's and about one. */
  socket?: Socket;
  session?: SockhopSession;
  error: AnyError;
}

// ---------------------------------------------------------------------------------------------- session

/**
 * What a server keeps of a client; programs extend it. One is made for each connection, started before the
 * `connect` event and ended before the `disconnect` event.
 *
 * @typeParam Out what is sent to the client
 * @typeParam Server the server the session belongs to
 */
export class SockhopSession<Out = Sendable, Server = AnyServer> extends EventEmitter {
  /** A class that extends this one may call `super()` without arguments. */
  constructor(sock?: SockhopSocket, server?: Server);
  /** The connection. */
  get sock(): SockhopSocket;
  /** The server. */
  get server(): Server;
  /** `server.send()` to this client. */
  send(object: Out): Promise<void>;
  /** `server.request()` to this client. */
  request<Reply = Anything>(
    object: Out,
    config?: RequestOptions,
  ): Promise<SockhopResponseReadableStream<Reply>>;
  /** Ends the connection. */
  kill(): Promise<void>;
  /**
   * To be overridden: sets the session up. What the client sends is held back until the promise is
   * fulfilled; if it rejects, the server emits `error` and ends the connection.
   */
  start(): Promise<void>;
  /** To be overridden: tears the session down when the connection is gone. */
  end(): Promise<void>;
  /** Makes and starts a session; called by the server for each connection. */
  static _from_socket<S>(
    this: new (
      sock: SockhopSocket,
      server: Anything,
    ) => S,
    sock: SockhopSocket,
    server: AnyServer,
  ): Promise<S>;
}

// --------------------------------------------------------------------------------------------- requests

/** One packet of an answer, as `next()`, `all()` and loops give it. */
export interface ResponsePacketPayload<T = Anything> {
  data: T;
  /** The class name of the data. */
  type: string;
}

/** What was asked, under which type, and the id the answers carry. */
export class SockhopRequest<T = Anything> {
  /** @throws TypeError (ERR_BAD_DATA) if `type` is left out and the data has no constructor */
  constructor(opts?: { uuid?: string; data?: T; type?: string });
  uuid: string;
  data: T;
  /** The class name of the data. */
  type: string;
  /** Reads what a peer sent; `null` if that is no request. Never throws. */
  static parse(message: unknown): SockhopRequest | null;
  /** @throws TypeError (ERR_BAD_DATA) if the data has no constructor */
  static from_data<T extends Sendable>(data: T): SockhopRequest<T>;
}

/** One packet of an answer, as it goes over the wire. */
export class SockhopResponsePacket<T = Anything> {
  /** @throws TypeError (ERR_BAD_DATA) if `type` is left out and the data has no constructor */
  constructor(opts?: { uuid?: string; data?: T; type?: string; last?: boolean });
  /** The id of the request. */
  uuid: string;
  data: T;
  /** The class name of the data. */
  type: string;
  /** Whether the stream ends with this packet. */
  last: boolean;
  toJSON(): { uuid: string; type: string; data: T; last: boolean };
  /** Reads what a peer sent; `null` if that is no response packet. Never throws. */
  static parse(message: unknown): SockhopResponsePacket | null;
  /** @throws TypeError (ERR_BAD_DATA) if the data has no constructor */
  static for_data<T extends Sendable>(
    data: T,
    uuid: string,
    last?: boolean,
  ): SockhopResponsePacket<T>;
}

/** The events of a stream of answers and their arguments. */
export interface SockhopResponseReadableStreamEvents<T = Anything> {
  /** A packet has arrived. */
  data: [data: T, type: string];
  /** The stream has ended; with an error if it was cut short. */
  end: [err?: Error];
}

/**
 * The answers to a request, as the asking side receives them.
 *
 * @typeParam T what the packets carry
 */
export class SockhopResponseReadableStream<T = Anything>
  extends Emitter<SockhopResponseReadableStreamEvents<T>>
  implements AsyncIterable<ResponsePacketPayload<T>>
{
  constructor(opts?: { uuid?: string });
  /** The id of the request. */
  uuid: string;
  /** Whether the stream has ended. */
  get ended(): boolean;
  /**
   * Waits for the next packet and ends the stream with it. Rejects with the error if the stream ends, or has
   * ended, with one; with ERR_RESPONSE_ENDED if it ends, or has ended, without another packet.
   */
  next(): Promise<ResponsePacketPayload<T>>;
  /**
   * Waits for the end; fulfilled with all packets from the call on. Rejects with the error if the stream
   * ends, or has ended, with one.
   */
  all(): Promise<ResponsePacketPayload<T>[]>;
  /** Ends the stream on this side; what still arrives is ignored. */
  end(err?: Error): void;
  /** Takes a packet that arrived for this stream. */
  receive_packet(pkt: SockhopResponsePacket<T>): void;
  /** All packets from the call on. Throws the error the stream ends with; leaving the loop ends the stream. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ResponsePacketPayload<T>>;
  static from_request(req: SockhopRequest): SockhopResponseReadableStream;
}

/**
 * The answers to a request, as the answering side sends them.
 *
 * @typeParam Out what the packets carry
 */
export class SockhopResponseWriteableStream<Out = Sendable> {
  constructor(opts?: {
    uuid?: string;
    sockhop?: SockhopClient<Anything, Anything> | SockhopSession;
  });
  /** The id of the request. */
  uuid: string;
  /**
   * Sends a packet and ends the stream with it. Rejects with ERR_RESPONSE_SEND if the stream has been ended.
   *
   * @throws TypeError (ERR_BAD_DATA) if the data has no constructor
   */
  send(data?: Out): Promise<void>;
  /** Sends a packet; the stream stays open. Rejects and throws as `send()`. */
  write(data?: Out): Promise<void>;
  /** Ends the stream with an empty object as its last packet. Rejects as `send()`. */
  end(): Promise<void>;
  static from_request(
    req: { uuid: string },
    sockhop: SockhopClient<Anything, Anything> | SockhopSession,
  ): SockhopResponseWriteableStream;
}

// ------------------------------------------------------------------------------------------------ pings

/** A question whether the peer is alive. The properties are what goes over the wire. */
export class SockhopPing {
  constructor(fields?: Partial<SockhopPingFields>);
  _id: string;
  /** When it was made. */
  _created: Date | string;
  /** When the peer answered. */
  _returned: Date | string | null;
  /** When the answer arrived. */
  _finished: Date | string | null;
  /** Whether no pong has concluded this ping yet. */
  unanswered(): boolean;
  /** Concludes the ping if the pong is the answer to it. */
  conclude_with_pong(pong: SockhopPong): void;
}

/** The answer to a ping. */
export class SockhopPong {
  /** @param ping the fields of the ping to answer */
  constructor(ping?: Partial<SockhopPingFields>);
  _id: string | null;
  _created: Date | string | null;
  /** When the ping was answered. */
  _returned: Date | string;
  _finished: Date | string | null;
  get finished(): Date | string | null;
}

export interface SockhopPingFields {
  _id: string;
  _created: Date | string;
  _returned: Date | string | null;
  _finished: Date | string | null;
}

// --------------------------------------------------------------------------------------------- ObjectBuffer

/** Options of an ObjectBuffer. */
export interface ObjectBufferOptions {
  /** How frames end. Default: `"\n"`. */
  terminator?: Terminator | null | undefined;
  /** Deliver frames that are not JSON as strings instead of reporting them. Default: `false`. */
  allow_non_objects?: boolean | null | undefined;
}

/** The events of an ObjectBuffer and their arguments. */
export interface ObjectBufferEvents {
  /** A frame that is not JSON, or an argument of the wrong type. */
  error: [err: SockhopError];
}

/** Turns objects into frames, and the bytes of a stream, in whatever pieces, back into objects. */
export class ObjectBuffer extends Emitter<ObjectBufferEvents> {
  constructor(opts?: ObjectBufferOptions);
  /** Takes the next bytes of the stream and gives the objects that are complete now. */
  buf2obj(buffer: Buffer): Anything[];
  /** The same, with the bytes of each frame without its terminator. */
  buf2obj(buffer: Buffer, options: { return_buffers: true }): { value: Anything; buffer: Buffer }[];
  /** The frame of an object; `undefined` after an `error` event. */
  obj2buf(object: unknown): Buffer | undefined;
}

// ------------------------------------------------------------------------------------- the other spellings

export {
  SockhopClient as client,
  SockhopClient as Client,
  SockhopError as error,
  SockhopError as Error,
  SockhopServer as server,
  SockhopServer as Server,
  SockhopSession as session,
  SockhopSession as Session,
};
