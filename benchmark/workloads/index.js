const { payloads, usual } = require('../lib/payloads.js');

/**
 * The workloads. Each definition has
 *
 *   name, title, unit, better ('higher' or 'lower')   the compared value
 *   columns      further values of the table: { key, label, digits }
 *   transports   of 'tcp' and 'unix'
 *   server(context), client(context)   run in the two child processes and resolve with the actions
 *                that the harness may call
 *   generator    { role, arguments(context), open, processes }   the native load generator, in addition
 *                to a client or instead of it: 'drive' or 'visit', its arguments, the connections that
 *                each process opens first ({ count, lanes }), and the number of processes (1)
 *   round({ server, client, generator, generators, peer, ms })   one measurement: resolves with the
 *                values, including `value`, and throws if a message was lost or wrong;
 *                `generator` is the first of `generators`
 *   floor        optional: the same work without any package
 *   fresh        each round uses new processes, because memory is not returned to the system
 *   rounds       the number of rounds, if the default takes too long
 *   ms           the length of a round, if not the usual one
 *   values       'rich' if the payload has values that JSON does not carry
 *   family, payload   for workloads that there are with several payloads: the name of their kind, and
 *                of the payload
 *   original     'server' or 'client': this end is sockhop 1.8.4 for all peers, and the peers are
 *                those that exchange messages with it
 *   limits       { peer: rounds } for a peer that is much slower than the others; 0 leaves it out
 */
const definitions = [
  ...require('./oneway.js'),
  ...require('./roundtrip.js'),
  ...require('./callbacks.js'),
  ...require('./object.js'),
  ...require('./requests.js'),
  ...require('./fanin.js'),
  ...require('./fanout.js'),
  ...require('./many-clients.js'),
  ...require('./connect-rate.js'),
  ...require('./idle.js'),
  ...require('./loop-delay.js'),
  ...require('./original.js'),
  ...require('./fairness.js'),
  ...require('./tls-handshakes.js'),
];

/** A short set that covers the most important cases. It runs first. */
const core = ['oneway-64', 'roundtrip', 'callbacks-100', 'object-16m'];

const all = [
  ...core,
  ...definitions.map(({ name }) => name).filter((name) => !core.includes(name)),
];

/** A run of all workloads leaves out those with other payloads than the usual ones. */
const names = all.filter((name) => {
  const { payload } = get(name);
  return payload === undefined || payload === 'text' || usual.includes(payload);
});

const payloadNames = ['text', ...payloads.map(({ name }) => name)];

/**
 * The workload of this name, or all workloads of a family: "fairness" selects "fairness-1", "-4"
 * and "-16".
 */
function select(name) {
  const family = names.filter((each) => each.startsWith(`${name}-`));
  return all.includes(name) || family.length === 0 ? [get(name).name] : family;
}

/**
 * The workloads that send one of these payloads.
 *
 * @param {string[]} chosen names of payloads
 * @param {string[]} kinds names of families and workloads; an empty list selects all
 */
function withPayloads(chosen, kinds) {
  for (const kind of kinds) {
    if (!definitions.some(({ name, family }) => kind === family || kind === name)) get(kind);
  }
  return all.filter((name) => {
    const { family, payload } = get(name);
    const isWanted = kinds.length === 0 || kinds.includes(family) || kinds.includes(name);
    return isWanted && chosen.includes(payload);
  });
}

function get(name) {
  const found = definitions.find((definition) => definition.name === name);
  if (found === undefined) {
    throw new Error(`there is no workload "${name}"`);
  }
  return found;
}

module.exports = { all, core, get, names, payloadNames, select, withPayloads };
