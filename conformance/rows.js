'use strict';

// The promises of a drop-in replacement. A scenario lists in its `rows` the promises that it tests.

module.exports = {
  exports: 'names, classes and deep paths',
  defaults: 'defaults, and path before address and port',
  'options-read-late': 'port, address and path count from the next connect()',
  envelope: 'the bytes on the wire',
  'key-order': 'peers may order keys differently and add keys',
  terminators: 'a string, or one to receive and one to transmit',
  'peer-type-json': 'bare values, no callbacks, no requests',
  connect: 'connect(): at once, twice, refused',
  'auto-reconnect': 'auto_reconnect',
  'client-disconnect': 'disconnect of the client, once',
  'send-unconnected': 'send() unconnected is refused',
  'server-events': 'events of the server and their arguments',
  listening: 'listen() and server.server',
  'data-before-start': 'what arrives before start() resolved is held back',
  session: 'life of a session',
  'sockets-sessions': 'server.sockets and server.sessions',
  sendall: 'sendall()',
  ending: 'kill_socket, kill, disconnect, close',
  ping: 'ping',
  pause: 'a paused socket answers no pings',
  'bad-frames': 'bad frames',
  'no-envelope': 'JSON that is no envelope',
  requests: 'requests and response streams',
  errors: 'codes and messages of errors',
  'thrown-by-send': 'what send() throws and what it rejects',
  socket: 'the socket a program sees',
  adopting: 'client.socket = stream',
  tls: 'TLS of the client',
  internals: 'internals that programs read',
  pair: 'the original as the other side',

  // Faults of the original that this package corrects; differences.js has both results.
  'fault-one-line': 'one line from any peer ends the process',
  'fault-callbacks-kept': 'callbacks that are never answered are kept forever',
  'fault-close-listen': 'after close(), listen() accepts connections without serving them',
  'fault-port-taken': 'listen() on a port in use stays pending forever',
  'fault-start-rejects': 'session.start() rejects: connection leaked',
  'fault-process-alive': 'a client only constructed keeps the process alive',
  'fault-ssl-one-key': 'ssl_options with one key are ignored',
  'fault-terminator': 'terminator measured in characters; an empty one',
  'fault-send-in-flight': 'send() in flight when the connection dies is fulfilled',
  'fault-stream-timeout': 'next() and all() after a time-out',
  'fault-handler-throws': 'a handler that throws loses the other frames',
  'fault-send-before-connect': 'send() before the first connect()',
  'fault-port-0': 'port 0 becomes 50000',
  'fault-error-order': 'errors of a chunk come before its objects, without the session',
  'fault-connect-twice': 'a failed connect() is an error event as well, unless it was refused',
  'fault-disconnect-twice': 'a connection ended twice is two disconnect events',
  'fault-bare-super': 'a session that calls super() without arguments has no socket',
  'fault-sendall-skips': 'sendall() skips the client after a dead one',
};

// A trace of events and frames cannot show the following: Nagle's algorithm and quadratic
// reassembly are measured by `npm run bench`. Limits and debug events do not exist in the original
// and are tested in __test__/.
