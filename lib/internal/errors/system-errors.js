'use strict';

/*
 * Errors of system calls, with the properties and messages that Node gives them. Programs that
 * compare `code`, `errno`, `syscall`, `address`, `port` or the message work although the native
 * side made the call.
 */

const net = require('node:net');
const os = require('node:os');
const util = require('node:util');

const { ErrorKind } = require('../native/classes.js');
const { slowConsumer } = require('./errors.js');
const { causeOfPath, explain, withoutStack } = require('./explanations.js');

/**
 * Descriptions of libuv for the errors of `bind` and `listen`, for runtimes without
 * `util.getSystemErrorMap`.
 */
const DESCRIPTIONS = {
  EACCES: 'permission denied',
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'address not available',
  EAFNOSUPPORT: 'address family not supported',
  EINVAL: 'invalid argument',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'name too long',
  ENFILE: 'file table overflow',
  ENOBUFS: 'no buffer space available',
  ENOMEM: 'not enough memory',
  ENOTDIR: 'not a directory',
  EPERM: 'operation not permitted',
};

/**
 * Made for the first error.
 *
 * @type {?{byErrno: Map<number, [string, string]>, byCode: Map<string, number>}}
 */
let tables = null;

function systemErrors() {
  if (tables === null) {
    const byErrno =
      typeof util.getSystemErrorMap === 'function'
        ? util.getSystemErrorMap()
        : new Map(
            Object.entries(os.constants.errno).map(([code, errno]) => [
              -errno,
              [code, DESCRIPTIONS[code] ?? code],
            ]),
          );
    const byCode = new Map();
    for (const [errno, [code]] of byErrno) byCode.set(code, errno);
    tables = { byErrno, byCode };
  }
  return tables;
}

/** The number, the name and the description of an error, from its number or its name. */
function resolve(error) {
  const { byErrno, byCode } = systemErrors();
  const errno = typeof error === 'number' ? error : byCode.get(error);
  const [code, description] = byErrno.get(errno) ?? [];
  return {
    errno,
    code: code ?? (typeof error === 'string' ? error : `Unknown system error ${errno}`),
    description: description ?? 'unknown error',
  };
}

/**
 * The error of a failed system call on a socket, as `net` makes it: the message of `listen` has a
 * description, and only `connect`, `bind` and `listen` name an address.
 *
 * @param {number|string} error the negative errno of libuv (-111), or its name ("ECONNREFUSED")
 * @param {string} syscall "connect", "listen", "bind", "read", "write", "shutdown", "accept"
 * @param {string} [address] the IP address or the path of the Unix socket
 * @param {number} [port] the TCP port; for a Unix socket none, or -1, which `listen` has
 * @returns {Error} with `errno`, `code`, `syscall` and, where given, `address` and `port`; for a
 *   path with an explanation as its `cause`, where the reason is known
 */
function systemError(error, syscall, address, port) {
  const { errno, code, description } = resolve(error);
  let message = `${syscall} ${code}`;
  if (syscall === 'listen') message += `: ${description}`;
  if (port > 0) message += ` ${address}:${port}`;
  else if (address) message += ` ${address}`;

  const err = new Error(message);
  err.errno = errno;
  err.code = code;
  err.syscall = syscall;
  if (address !== undefined) err.address = address;
  if (port) err.port = port;
  if (address && !(port > 0) && net.isIP(address) === 0) {
    explain(err, causeOfPath(code, syscall, address));
  }
  Error.captureStackTrace?.(err, systemError);
  return err;
}

/**
 * @param {ErrorKind} kind
 * @param {number} errno positive
 * @param {string} syscall
 * @returns {Error} with which the native side has ended a connection, except those of TLS
 */
function connectionError(kind, errno, syscall) {
  return kind === ErrorKind.SlowConsumer ? slowConsumer() : systemError(-errno, syscall);
}

/**
 * @param {{errno: number, syscall: string}} failure the errno is positive
 * @param {{path?: string, address?: string, port?: number}} endpoint
 * @returns {Error} because of which a server cannot listen there
 */
function listenError({ errno, syscall }, { path, address, port }) {
  // libuv reports a missing directory as a lack of permission.
  const code = path && errno === 2 ? 'EACCES' : -errno;
  return withoutStack(() => systemError(code, syscall, path ?? address, path ? -1 : port));
}

module.exports = { connectionError, listenError, systemError };
