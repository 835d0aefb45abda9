'use strict';

/*
 * Explanations of errors: the meaning and the remedy, as the message of the error's `cause`. The
 * message of the error itself stays that of Node or of sockhop 1.8.4, because programs compare it.
 * Node prints a cause with its error.
 */

const fs = require('node:fs');
const path = require('node:path');

/** The longest path of a Unix socket, in bytes: the size of `sun_path` without the final NUL. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;

/** The number of characters of a bad frame that are shown. */
const EXCERPT_LENGTH = 64;

/** The first line of an HTTP request or response. */
const HTTP = /^(?:[A-Z]{3,10} \S{1,2048} HTTP\/\d|HTTP\/\d)/;

/** Whether a line of /proc/net/unix has the flag of a listening socket. */
const isListening = (line) => line.split(/\s+/, 4)[3] === '00010000';

/** Whether a process listens on a Unix socket; null where the system does not report it. */
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

/**
 * Describes the first parent of a path that is missing or not a directory; null if there is none.
 */
function brokenDirectory(where) {
  const directory = path.dirname(path.resolve(where));
  const kind = kindOf(directory);
  if (kind === 'directory') return null;
  if (kind !== null) return `${directory} is a ${kind} and not a directory.`;
  return brokenDirectory(directory) ?? `The directory ${directory} does not exist.`;
}

const LEFT_BEHIND = 'a server that ended without closing left it behind';

/** The reason why a client cannot connect to a path. */
function causeOfConnect(code, where) {
  const kind = kindOf(where);
  if (kind === 'socket' && code === 'ECONNREFUSED') {
    return `No server listens on the socket ${where}: ${LEFT_BEHIND}.`;
  }
  if (kind === 'socket' && (code === 'EACCES' || code === 'EPERM')) {
    return `Connecting to ${where} needs permission to write to it.`;
  }
  if (kind === 'file' || kind === 'directory') return `${where} is a ${kind} and not a socket.`;
  if (code !== 'ENOENT' && code !== 'ENOTDIR') return undefined;
  return (
    brokenDirectory(where) ??
    `There is nothing at ${path.resolve(where)}: no server listens there, or it uses another path.`
  );
}

/** The reason why a server cannot listen on a path. */
function causeOfListen(code, where) {
  const kind = kindOf(where);
  if (kind === 'file' || kind === 'directory') return `${where} is a ${kind} and not a socket.`;
  if (kind === 'socket') {
    const listening = isListenedOn(where);
    if (listening === true) return `Another server listens on ${where}.`;
    return listening === false
      ? `No server listens on the socket ${where}: ${LEFT_BEHIND}. Remove it and listen again.`
      : `If no server listens on the socket ${where}, ${LEFT_BEHIND}: remove it and listen again.`;
  }
  const broken = brokenDirectory(where);
  if (broken !== null) return broken;
  if (code === 'EACCES' || code === 'EPERM') {
    return `Listening on ${where} needs permission to write to its directory.`;
  }
  return undefined;
}

/** The names of pipes of Windows. */
const PIPE_NAME = /^[\\/]{2}[.?][\\/]pipe[\\/]./i;

/** Like `causeOfPath`, on Windows. */
function causeOfPipe(code, syscall, where) {
  if (!PIPE_NAME.test(where)) {
    return `On Windows a path is that of a named pipe, and begins with \\\\.\\pipe\\ as in \\\\.\\pipe\\name.`;
  }
  if (syscall === 'connect' && code === 'ENOENT') return `No server listens on the pipe ${where}.`;
  if (syscall === 'listen' && code === 'EADDRINUSE') return `Another server listens on ${where}.`;
  return undefined;
}

/**
 * Explains an error about the path of a Unix socket, or of a pipe.
 *
 * @param {string} code the code of the error
 * @param {string} syscall `connect`, `listen` or `bind`
 * @param {string} where the path
 * @returns {string|undefined} undefined: the reason is not known
 */
function causeOfPath(code, syscall, where) {
  if (process.platform === 'win32') return causeOfPipe(code, syscall, where);
  // An abstract name is in no directory.
  if (where.startsWith('\0')) return undefined;
  const length = Buffer.byteLength(where);
  if (length > LONGEST_PATH) {
    return (
      `The path is ${length} bytes long; the path of a Unix socket has at most ${LONGEST_PATH} bytes on this system. ` +
      'Use a shorter path, or one relative to the current directory.'
    );
  }
  return syscall === 'connect' ? causeOfConnect(code, where) : causeOfListen(code, where);
}

const escaped = (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;

/**
 * The beginning of a frame, with every character escaped that a terminal might interpret.
 *
 * @param {string} text
 * @returns {string}
 */
function excerpt(text) {
  const shown = text
    .slice(0, EXCERPT_LENGTH)
    .replace(/[^\x20-\x7e]/g, (character) =>
      character > '\xff'
        ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
        : escaped(character),
    );
  // A copy, because a slice of a long string keeps the whole string in memory.
  const copy = Buffer.from(shown, 'latin1').toString('latin1');
  return text.length > EXCERPT_LENGTH ? `${copy}...` : copy;
}

/**
 * Recognises the protocol of a peer that does not speak this one.
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
    return 'This is HTTP: the peer is a browser or another HTTP client.';
  }
  return undefined;
}

/**
 * Adds an explanation to an error.
 *
 * @template {Error} E
 * @param {E} err gets a `cause`, as the option of `new Error()` would set it
 * @param {string} [meaning] undefined: the error stays as it is
 * @returns {E} the same
 */
function explain(err, meaning) {
  if (meaning === undefined) return err;
  // The cause is made here, so its stack trace would say nothing about the fault.
  const value = withoutStack(() => new Error(meaning));
  Object.defineProperty(err, 'cause', { value, configurable: true, writable: true });
  return err;
}

/**
 * Makes an error that is not the fault of the code that makes it. Without a stack trace, Node does
 * not show a line of this package if nothing handles it.
 *
 * @template {Error} E
 * @param {function(): E} make
 * @returns {E}
 */
function withoutStack(make) {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/**
 * Adds the frame that an error is about.
 *
 * @template {Error} E
 * @param {E} err gets `data`, the beginning of the frame, and a cause if the frame is of another
 *   protocol
 * @param {string} text the frame
 * @returns {E} the same
 */
function describeFrame(err, text) {
  err.data = excerpt(text);
  return explain(err, causeOfFrame(text));
}

/** Codes of OpenSSL for an answer to the handshake that is not TLS. */
const NOT_TLS = [
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
];

/** Codes of Node for a server whose certificate no trusted authority has signed. */
const UNTRUSTED = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

/** Whether the option `ca` has no certificate in PEM, but the name of a file for example. */
function isNoAuthority(ca) {
  const texts = [ca].flat().filter((each) => typeof each === 'string' || ArrayBuffer.isView(each));
  return texts.length > 0 && !texts.some((each) => Buffer.from(each).includes('-----BEGIN '));
}

/**
 * Adds the endpoint of a failed attempt to connect to an error that does not name it, and explains
 * an attempt at TLS.
 *
 * @template {Error} E
 * @param {E} err
 * @param {?{path?: string, address?: string, port?: number}} where
 * @param {object} how
 * @param {boolean} how.ssl whether the attempt uses TLS
 * @param {object} how.ssl_options
 * @param {boolean} [how.late] whether it exceeded `connect_timeout`
 * @returns {E} the same
 */
function describeAttempt(err, where, { ssl, ssl_options, late = false }) {
  if (UNTRUSTED.includes(err.code) && isNoAuthority(ssl_options.ca)) {
    return explain(
      err,
      'The option "ca" of "ssl_options" has no certificate in PEM. It is the text of the certificates, not the name of a file.',
    );
  }
  const isPlain = NOT_TLS.includes(err.code);
  const isCut = ssl && err.code === 'ECONNRESET';
  if (!late && !isPlain && !isCut) return err;
  err.address ??= where?.path ?? where?.address;
  if (!where?.path) err.port ??= where?.port;
  if (isPlain)
    return explain(err, 'The answer of the server is not TLS: it does not use TLS on this port.');
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
        'The server did not answer, or did not answer with TLS: it may not use TLS on this port.',
      )
    : err;
}

module.exports = { causeOfPath, describeAttempt, describeFrame, explain, withoutStack };
