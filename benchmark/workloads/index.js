/**
 * The workloads. Each definition has
 *
 *   name, title, unit, better ('higher' or 'lower')   what is compared
 *   columns      further figures of the table: { key, label, digits }
 *   transports   of 'tcp' and 'unix'
 *   server(context), client(context)   run in the two child processes and resolve with the actions
 *                the harness may call
 *   generator    { arguments(context), open, processes }   the native load generator, in place of a
 *                client or beside it: its arguments, the connections each process opens at the
 *                start ({ count, lanes }), and the number of processes (1)
 *   round({ server, client, generator, generators, peer, ms })   one measurement; resolves with the
 *                figures, `value` among them, and throws when something was lost or came out wrong;
 *                `generator` is the first of `generators`
 *   floor        optional: what the same work costs with no package at all
 *   fresh        new processes for every round (memory cannot be given back)
 *   rounds       fewer rounds than the default for what takes long
 *   limits       { peer: rounds }, for a peer that takes much longer than the others; 0 leaves it out
 */
const definitions = [
  ...require('./oneway.js'),
  ...require('./roundtrip.js'),
  ...require('./callbacks.js'),
  ...require('./object.js'),
  ...require('./requests.js'),
  ...require('./fanin.js'),
  ...require('./fanout.js'),
  ...require('./connect-rate.js'),
  ...require('./idle.js'),
  ...require('./loop-delay.js'),
  ...require('./fairness.js'),
];

/** The shortest set that says something; it comes first whenever all are run. */
const core = ['oneway-64', 'roundtrip', 'callbacks-100', 'object-16m'];

const names = [
  ...core,
  ...definitions.map(({ name }) => name).filter((name) => !core.includes(name)),
];

/** The workloads of that name, or those of a family: "fairness" is all that begin with "fairness-". */
function select(name) {
  const family = names.filter((each) => each.startsWith(`${name}-`));
  return names.includes(name) || family.length === 0 ? [get(name).name] : family;
}

function get(name) {
  const found = definitions.find((definition) => definition.name === name);
  if (found === undefined) {
    throw new Error(`no such workload: ${name}`);
  }
  return found;
}

module.exports = { core, get, names, select };
