/**
 * The peers. Each is a module with one shape, so that a workload is written once:
 *
 *   label        string, as in the tables
 *   transports   of 'tcp' and 'unix', what the peer speaks
 *   tls          boolean, whether it can be measured over TLS
 *   version()    string
 *   serve({ transport, address, tls, largest, broadcast, receive, request })
 *                listens; resolves with { sendAll(data) }. `receive(data, reply)` gets each object and
 *                may answer with `reply(object)`; `request(data, { write, end })` answers a request
 *                with several objects.
 *   connect({ transport, address, tls, largest, receive })
 *                resolves with a client:
 *                  push(data)     as cheap as the peer allows; a promise, if it gives one, must be
 *                                 awaited before the next call
 *                  send(data)     promise: the data is out of the program's hands
 *                  call(data, answer)  answer(object) is called with what the server replied
 *                  request(data)  promise of the number of objects received in answer
 *   wire         the peer's bytes for the load generator: hello(data) opens a connection and sends a
 *                first object (a Buffer, or { first, wait, rest }: the rest follows when the server
 *                has sent so many bytes), frame(data) is one more object
 *
 * `address` is { port } on 127.0.0.1 or { path }; `largest` is the largest message in bytes, where
 * the default limit of a peer would be too small; `broadcast` announces that sendAll will be used.
 */
const names = ['native', 'sockhop', 'sockhop-nodelay', 'ws', 'node-ipc', 'zeromq'];

/** What all ratios are against. */
const reference = 'sockhop';

function load(name) {
  if (!names.includes(name)) {
    throw new Error(`no such peer: ${name} (there are ${names.join(', ')})`);
  }
  return require(`./${name}.js`);
}

/** Thrown by a peer for what it cannot do; the harness tells and goes on without it. */
class Unsupported extends Error {
  name = 'Unsupported';
}

module.exports = { Unsupported, load, names, reference };
