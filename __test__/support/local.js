'use strict';

const { after } = require('node:test');
const { cleanup } = require('./cleanup.js');
const { endpoint } = require('./addresses.js');
const { record } = require('./event-log.js');
const impl = require('./impl.js');
const { rawServer } = require('./raw.js');

/** How long a file of tests may run after its last test, in milliseconds. */
const GRACE = 30_000;

// A connection that is left open keeps a file of tests from ending, which is a failure and no
// reason to wait.
after(() => {
  const guard = setTimeout(() => {
    console.error('left open after the last test:', process.getActiveResourcesInfo());
    process.exit(1);
  }, GRACE);
  guard.unref();
});

/**
 * A listening server of the package under test, in this process.
 *
 * @returns {Promise<{ server: object, log: import('./event-log.js').EventLog, where: object }>}
 */
async function startServer(t, options = {}, where = undefined, Server = impl.server) {
  const place = where ?? (await endpoint(t));
  const server = new Server({ ...place, ...options });
  const log = record(server);
  cleanup(t, () => server.close());
  await server.listen();
  return { server, log, where: place };
}

/** A client of the package under test, in this process, not connected yet. */
function makeClient(t, where, options = {}, Client = impl.client) {
  const client = new Client({ ...where, ...options });
  const log = record(client);
  cleanup(t, () => client.disconnect());
  // An implementation that keeps a timer from construction on would keep the suite from ending.
  client._auto_reconnect_timer?.unref?.();
  return { client, log };
}

/** The same, connected. */
async function startClient(t, where, options = {}) {
  const made = makeClient(t, where, options);
  await made.client.connect();
  return made;
}

/** A client connected to a plain server, and the plain end of the connection. */
async function clientOnWire(t, options = {}, where = undefined, serverOptions = undefined) {
  const raw = await rawServer(t, where, serverOptions);
  const { client, log } = await startClient(t, raw.where, options);
  return { client, log, raw, wire: await raw.accept() };
}

module.exports = { clientOnWire, makeClient, startClient, startServer };
