const net = require('node:net');
const path = require('node:path');
const { End, Generator } = require('./processes.js');

/** The package that exchanges messages with every peer in a workload with `original`. */
const ORIGINAL = 'sockhop';

/**
 * Starts the processes of a workload: its server, and its client or the load generator.
 *
 * @param {object} settings
 * @param {object} settings.definition the workload
 * @param {string} settings.transport 'tcp' or 'unix'
 * @param {object} settings.address from `freeAddress()`
 * @param {string} settings.name the peer
 * @param {object} settings.peer the module of the peer
 * @param {object} settings.certificates for workloads over TLS
 * @param {string|null} settings.binary the load generator
 * @param {function(object): object} settings.keep gets each process as soon as it runs, and returns
 *   it
 * @param {{server?: string[], client?: string[]}} [settings.execArgv] more options for Node, by
 *   side
 * @returns {Promise<{ends: object, version: string}>} the processes, as `round()` of a workload
 *   takes them
 */
async function openEnds(settings) {
  const { definition, transport, address, name, peer, certificates, binary, keep } = settings;
  const { execArgv = {} } = settings;
  const server = keep(new End(execArgv.server));
  const ends = { server };
  const open = (end, role) =>
    end.call('open', {
      role,
      peer: definition.original === role ? ORIGINAL : name,
      workload: definition.name,
      transport,
      address,
      ...(definition.tls && { tls: certificates }),
    });
  const versions = { server: (await open(server, 'server')).version };
  if (definition.client) {
    ends.client = keep(new End(execArgv.client));
    versions.client = (await open(ends.client, 'client')).version;
  }
  const version = versions[definition.original === 'server' ? 'client' : 'server'];
  if (definition.generator) {
    const { role = 'drive', open, processes = 1 } = definition.generator;
    const args = definition.generator.arguments({ peer, certificates });
    const generators = [];
    while (generators.length < processes) {
      const generator = await Generator.start(binary, [role, targetOf(address), ...args]);
      generators.push(keep(generator));
      if (open) {
        await generator.call(`open count=${open.count} lanes=${open.lanes}`);
      }
    }
    Object.assign(ends, { generator: generators[0], generators });
  }
  return { ends, version };
}

async function freeAddress(transport, directory, name) {
  if (transport === 'unix') {
    freeAddress.next = (freeAddress.next ?? 0) + 1;
    return { path: path.join(directory, `${name}-${freeAddress.next}.sock`) };
  }
  const probe = net.createServer();
  await new Promise((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', resolve);
  });
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return { port };
}

function targetOf(address) {
  return address.path ? `unix:${address.path}` : `tcp:${address.port}`;
}

module.exports = { freeAddress, openEnds, targetOf };
