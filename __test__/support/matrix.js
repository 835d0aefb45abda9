'use strict';

const { after, describe, it } = require('node:test');
const { ChaosProxy } = require('../chaos/proxy.js');
const { endpoint, nodeEndpoint, transports } = require('./addresses.js');
const { cleanup } = require('./cleanup.js');
const { PeerPool } = require('./peers.js');

/** Ends a behaviour that hangs; each of its steps has its own deadline. */
const LIMIT_MS = 600_000;

/** The implementations of client and server, each in a process of its own. */
const pairs = [
  { client: 'native', server: 'original' },
  { client: 'original', server: 'native' },
  { client: 'native', server: 'native' },
];

/**
 * The network between client and server, by `SOCKHOP_NETWORK`: none, or a proxy that divides the
 * data. Only the beginning of a large message is divided, because the whole would take minutes.
 */
const networks = {
  bytes: { split: 1, splitFirst: 4000 },
  delays: { split: 37, delay: 1, splitFirst: 1000 },
};

/**
 * Defines the cells of the interoperability matrix: every behaviour for every pair over every
 * transport.
 *
 * @param {Record<string, (cell: Cell) => Promise<void>>} behaviours
 * @param {{ only?: (pair: object, name: string) => boolean }} [options]
 */
function matrix(behaviours, { only = () => true } = {}) {
  const pool = new PeerPool();
  after(() => pool.close());
  for (const pair of pairs) {
    for (const transport of transports) {
      describe(`${pair.client} client, ${pair.server} server, ${transport}`, () => {
        for (const [name, behaviour] of Object.entries(behaviours)) {
          if (!only(pair, name)) continue;
          it(name, { timeout: LIMIT_MS }, (t) => behaviour(new Cell(t, pool, pair, transport)));
        }
      });
    }
  }
}

/** One client and one server in two processes, and the endpoint that they use. */
class Cell {
  #pool;

  constructor(t, pool, pair, transport) {
    this.t = t;
    this.#pool = pool;
    this.pair = pair;
    this.transport = transport;
  }

  /** A server that listens. */
  async server(options = {}, where = undefined) {
    const place = where ?? (await endpoint(this.t, this.transport));
    const server = await this.#pool
      .get(this.pair.server, 'server')
      .server(this.t, { ...place, ...options });
    await server.do('listen');
    return { server, where: place };
  }

  /** A client that is not connected yet. */
  async client(where, options = {}) {
    const near = await this.#approach(where);
    return this.#pool.get(this.pair.client, 'client').client(this.t, { ...near, ...options });
  }

  /** The endpoint to which a client connects, to reach a server. */
  async #approach(where) {
    const { SOCKHOP_NETWORK: name } = process.env;
    if (!name) return where;
    const plan = networks[name];
    if (!plan) throw new Error(`SOCKHOP_NETWORK is one of ${Object.keys(networks)}`);
    const proxy = new ChaosProxy(nodeEndpoint(where), () => plan);
    const near = await endpoint(this.t, this.transport);
    await proxy.listen(nodeEndpoint(near));
    cleanup(this.t, () => proxy.close());
    return near;
  }

  /**
   * A client connected to a server.
   *
   * @param {object} [options] for both sides
   * @param {object} [clientOptions] for the client, instead of the first
   */
  async connect(options = {}, clientOptions = options) {
    const { server, where } = await this.server(options);
    const client = await this.client(where, clientOptions);
    await client.do('connect');
    await server.next('connect');
    return { client, server, where };
  }
}

module.exports = { matrix, pairs };
