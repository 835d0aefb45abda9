'use strict';

/*
 * What an error means and what to do about it, as the message of its `cause`. Its own message stays Node's or that of
 * sockhop 1.8.4, because programs compare messages. Node shows a cause wherever it shows an error.
 */

const fs = require('node:fs');
const path = require('node:path');

/** The longest path of a Unix socket, in bytes: `sun_path` less the NUL behind it. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;

/** So much of what a peer sent is shown. */
const EXCERPT = 64;

/** The first line of a message of HTTP, from a client or a server. */
const HTTP = /^(?:[A-Z]{3,10} \S{1,2048} HTTP\/\d|HTTP\/\d)/;

const isListening = (line) => line.split(/\s+/, 4)[3] === '00010000';

/** Whether a Unix socket at a path is listened on; null where the system does not tell. */
function isListenedOn(where) {
  try {
    const sockets = fs.readFileSync('/proc/net/unix', 'utf8').split('\n');
    return sockets.some((line) => line.endsWith(` ${where}`) && isListening(line));
  } catch {
    return null;
  }
}

function kindOf(where) {
  try {
    const stats = fs.statSync(where);
    if (stats.isSocket()) return 'socket';
    return stats.isDirectory() ? 'directory' : 'file';
  } catch {
    return null;
  }
}

/** The first part of a path that is missing or no directory, above its last. */
function brokenDirectory(where) {
  const directory = path.dirname(path.resolve(where));
  const kind = kindOf(directory);
  if (kind === 'directory') return null;
  if (kind !== null) return `${directory} is a ${kind} and not a directory.`;
  return brokenDirectory(directory) ?? `The directory ${directory} does not exist.`;
}

const LEFT_BEHIND = 'a server that ended without closing left it behind';

/** What keeps a client from connecting to a path. */
function causeOfConnect(code, where) {
  const kind = kindOf(where);
  if (kind === 'socket' && code === 'ECONNREFUSED') {
    return `Nobody listens on the socket ${where}: ${LEFT_BEHIND}.`;
  }
  if (kind === 'socket' && (code === 'EACCES' || code === 'EPERM')) {
    return `To connect to ${where} takes the permission to write to it.`;
  }
  if (kind === 'file' || kind === 'directory') return `${where} is a ${kind} and not a socket.`;
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return undefined;
  return (
    brokenDirectory(where) ??
    `There is nothing at ${path.resolve(where)}: no server listens there, or it uses another path.`
  );
}

/** What keeps a server from listening on a path. */
function causeOfListen(code, where) {
  const kind = kindOf(where);
  if (kind === 'file' || kind === 'directory') return `${where} is a ${kind} and not a socket.`;
  if (kind === 'socket') {
    const listening = isListenedOn(where);
    if (listening) return `Another server listens on ${where}.`;
    const who = listening === false ? 'Nobody listens' : 'If nobody listens';
    const why = listening === false ? `: ${LEFT_BEHIND}. Remove it` : `, ${LEFT_BEHIND}: remove it`;
    return `${who} on the socket ${where}${why} and listen again.`;
  }
  const broken = brokenDirectory(where);
  if (broken !== null) return broken;
  if (code === 'EACCES' || code === 'EPERM') {
    return `To listen on ${where} takes the permission to write to its directory.`;
  }
  return undefined;
}

/**
 * What is wrong with the path of a Unix socket.
 *
 * @param {string} code of the error, as Node has it
 * @param {string} syscall `connect`, `listen` or `bind`
 * @param {string} where the path
 * @returns {string|undefined}
 */
function causeOfPath(code, syscall, where) {
  // An abstract name is in no directory.
  if (where.startsWith('\0')) return undefined;
  const length = Buffer.byteLength(where);
  if (length > LONGEST_PATH) {
    return (
      `The path is ${length} bytes long, and that of a Unix socket has at most ${LONGEST_PATH} on this system. ` +
      'Use a shorter one, or one relative to the current directory.'
    );
  }
  return syscall === 'connect' ? causeOfConnect(code, where) : causeOfListen(code, where);
}

const escaped = (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;

/**
 * The beginning of what a peer sent, for people: without a character that a terminal would obey.
 *
 * @param {string} text
 * @returns {string}
 */
function excerpt(text) {
  const shown = text
    .slice(0, EXCERPT)
    .replace(/[^\x20-\x7e]/g, (character) =>
      character > '\xff'
        ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
        : escaped(character),
    );
  // A copy: what was cut out of a long text would keep all of it.
  const copy = Buffer.from(shown, 'latin1').toString('latin1');
  return text.length > EXCERPT ? `${copy}...` : copy;
}

/**
 * What a peer speaks that is not understood.
 *
 * @param {string} text a frame
 * @returns {string|undefined}
 */
function causeOfFrame(text) {
  const first = text.charCodeAt(0);
  if (first === 0x16 && text.charCodeAt(1) === 0x03) {
    return 'This is the beginning of TLS: the peer uses TLS, and this side does not.';
  }
  if (first >= 0x41 && first <= 0x5a && HTTP.test(text)) {
    return 'This is HTTP: the peer is a browser, or another program for HTTP.';
  }
  return undefined;
}

/**
 * Adds what an error means to it.
 *
 * @template {Error} E
 * @param {E} err gets a `cause`, as the option of `new Error()` would make it
 * @param {string} [meaning] undefined: it is not known, and there is no cause
 * @returns {E} the same
 */
function explain(err, meaning) {
  if (meaning === undefined) return err;
  // The place where it was made says nothing.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    const value = new Error(meaning);
    Object.defineProperty(err, 'cause', { value, configurable: true, writable: true });
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return err;
}

/**
 * Says of an error which frame it is about.
 *
 * @template {Error} E
 * @param {E} err gets `data`, the beginning of the frame, and a cause where it is known what the frame is
 * @param {string} text the frame
 * @returns {E} the same
 */
function describeFrame(err, text) {
  err.data = excerpt(text);
  return explain(err, causeOfFrame(text));
}

/** Codes of OpenSSL for an answer to the handshake that is no TLS. */
const NO_TLS = [
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
];

/**
 * Says of a failed attempt to connect with which server it was, where the error itself does not.
 *
 * @template {Error} E
 * @param {E} err
 * @param {?{path?: string, address?: string, port?: number}} where
 * @param {{ssl: boolean, late?: boolean}} how whether TLS was to be used, and whether the time was up
 * @returns {E} the same
 */
function describeAttempt(err, where, { ssl, late = false }) {
  const isPlain = NO_TLS.includes(err.code);
  const isCut = ssl && err.code === 'ECONNRESET';
  if (!late && !isPlain && !isCut) return err;
  err.address ??= where?.path ?? where?.address;
  if (!where?.path) err.port ??= where?.port;
  if (isPlain)
    return explain(
      err,
      'The server answers with what is no TLS: it does not use TLS on this port.',
    );
  if (isCut) {
    return explain(
      err,
      'The server ended the connection before TLS was set up: it may not use TLS on this port.',
    );
  }
  err.code = 'ETIMEDOUT';
  err.syscall = 'connect';
  return ssl
    ? explain(
        err,
        'The server did not connect, or did not answer TLS: it may not use TLS on this port.',
      )
    : err;
}

module.exports = { causeOfPath, describeAttempt, describeFrame, explain };
