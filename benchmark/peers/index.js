const { withBase64 } = require('./base64.js');

/**
 * The peers. Each is a module with one shape, so that a workload is written once:
 *
 *   label        string, as in the tables
 *   transports   those of 'tcp' and 'unix' that the peer supports
 *   tls          boolean, whether it can be measured over TLS
 *   carriesBuffers   true if objects may have Buffers: see `carrying()`
 *   speaksSockhop    true if it exchanges messages with sockhop 1.8.4
 *   version()    string
 *   serve({ transport, address, tls, largest, broadcast, receive, request })
 *                listens; resolves with { sendAll(data) }. `receive(data, reply)` gets each object and
 *                may answer with `reply(object)`; `request(data, { write, end })` answers a request
 *                with several objects.
 *   connect({ transport, address, tls, largest, receive })
 *                resolves with a client:
 *                  push(data)     sends in the cheapest way the peer offers; if it returns a promise,
 *                                 it must be awaited before the next call
 *                  send(data)     returns a promise that is fulfilled when the peer has sent the data
 *                  call(data, answer)  calls answer(object) with the reply of the server
 *                  request(data)  returns a promise for the number of objects in the response
 *   wire         the peer's bytes for the load generator: hello(data) opens a connection and sends the
 *                first object. It is a Buffer, or { first, wait, rest }: the rest is sent after the
 *                server has sent `wait` bytes. frame(data) is one more object
 *
 * `address` is { port } on 127.0.0.1 or { path }. `largest` is the size of the largest message in bytes,
 * given if the default limit of a peer may be too small. `broadcast` says that sendAll will be used.
 */
const names = ['native', 'sockhop', 'sockhop-nodelay', 'ws', 'node-ipc', 'zeromq', 'msgpackr'];

/** The peer that all others are compared with. */
const reference = 'sockhop';

function load(name) {
  if (!names.includes(name)) {
    throw new Error(`no such peer: ${name} (there are ${names.join(', ')})`);
  }
  return require(`./${name}.js`);
}

/**
 * The adapter for payloads that JSON does not carry, if `values` is "rich". A peer that carries
 * Buffers by itself has `carriesBuffers`, and gets `values` with its other settings.
 */
function carrying(name, values) {
  const peer = load(name);
  if (values === undefined) return peer;
  if (!peer.carriesBuffers) return withBase64(peer);
  return {
    ...peer,
    serve: (setting) => peer.serve({ ...setting, values }),
    connect: (setting) => peer.connect({ ...setting, values }),
  };
}

/** Thrown by a peer that does not support a workload; the harness reports it and leaves the peer out. */
class Unsupported extends Error {
  name = 'Unsupported';
}

module.exports = { Unsupported, carrying, load, names, reference };
