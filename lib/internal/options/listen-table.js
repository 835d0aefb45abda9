'use strict';

/* The rows of the table of options for the methods `listen()` and `close()` of a server. */

/** @type {import('./table.js').Option[]} */
const LISTEN_OPTIONS = [
  {
    name: 'signal',
    takers: ['listen()'],
    kind: 'signal',
    shown: 'none',
    meaning:
      'When it is aborted, the server stops listening; open connections stay, as with `net`. If `listen()` is still pending, it rejects with an `AbortError` (`ABORT_ERR`)',
  },
  {
    name: 'exclusive',
    takers: ['listen()'],
    kind: 'flag',
    default: false,
    meaning: 'In a worker of `node:cluster`: do not share the address with other workers',
  },
  {
    name: 'unlink_stale',
    takers: ['listen()'],
    kind: 'flag',
    default: false,
    meaning:
      'Replace the file of a Unix socket if its server is dead, which means that a connection to the socket is refused. See [below](#serverlistenoptions)',
  },
  {
    name: 'mode',
    takers: ['listen()'],
    kind: 'fileMode',
    default: null,
    shown: 'those that the umask leaves',
    meaning:
      'Permissions of the file of a Unix socket, such as `0o660`. A client needs the permission to write',
  },
  {
    name: 'readableAll',
    takers: ['listen()'],
    kind: 'flag',
    default: false,
    meaning:
      'Add the permissions to read the file of a Unix socket (`0o444`) to those that the umask leaves, and to `mode`, as with `net`',
  },
  {
    name: 'writableAll',
    takers: ['listen()'],
    kind: 'flag',
    default: false,
    meaning:
      'Add the permissions to write (`0o222`) in the same way, so that every user may connect',
  },
  {
    name: 'fd',
    takers: ['listen()'],
    kind: 'descriptor',
    default: null,
    shown: 'none',
    meaning:
      'Descriptor of a socket that another process has bound, instead of `path`, `address` and `port`. The server takes it over and closes it',
  },
  {
    name: 'systemd',
    takers: ['listen()'],
    kind: 'systemd',
    default: false,
    meaning:
      'Listen on the socket that systemd passes (`LISTEN_FDS`). A string selects the socket by its name (`FileDescriptorName=`). Without systemd, the server listens at its own address',
  },
  {
    name: 'backlog',
    takers: ['listen()'],
    kind: 'count',
    default: undefined,
    shown: '511',
    unit: 'connections',
    max: 2 ** 31 - 1,
    meaning:
      'Number of connections that may wait to be accepted. The system may have a lower limit. A socket of `fd` or `systemd` that is listening already keeps its backlog by default',
  },
  {
    name: 'ipv6_only',
    takers: ['listen()'],
    kind: 'flag',
    default: false,
    meaning: 'Accept no IPv4 connections at the IPv6 address `::`',
  },
  {
    name: 'ipv6Only',
    takers: ['listen()'],
    kind: 'flag',
    default: false,
    meaning: 'The same as `ipv6_only`, under the name that `net` uses',
  },
  {
    name: 'reuse_port',
    takers: ['listen()'],
    kind: 'flag',
    default: false,
    meaning:
      'Let other sockets with this option listen on the same port; the system distributes connections among them. Linux only: on other systems `listen()` rejects with `ENOTSUP`. It implies `exclusive`',
  },
  {
    name: 'reusePort',
    takers: ['listen()'],
    kind: 'flag',
    default: false,
    meaning: 'The same as `reuse_port`, under the name that `net` uses',
  },
  {
    name: 'grace',
    takers: ['close()'],
    kind: 'milliseconds',
    default: 0,
    leftOut: 'none',
    meaning:
      'Time to answer pending requests and callbacks. A connection ends as soon as neither side owes the other an answer, and after this time in any case. `0`: all connections end at once',
  },
];

module.exports = { LISTEN_OPTIONS };
