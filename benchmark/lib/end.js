/**
 * One end of a measured pair: a child process that loads one peer and one workload, and executes
 * the actions that the harness requests over the IPC channel. It ends together with the harness.
 */

const workloads = require('../workloads');
const peers = require('../peers');

let actions = null;

const commands = {
  async open({ role, peer, workload, transport, address, tls }) {
    const definition = workloads.get(workload);
    const adapter = peers.carrying(peer, definition.values);
    const { options } = definition;
    actions = await definition[role]({ peer: adapter, transport, address, tls, options });
    return { version: adapter.version() };
  },

  async openFloor({ workload }) {
    actions = workloads.get(workload).floor.actions();
  },
};

process.on('message', async ({ id, method, args }) => {
  try {
    const command = commands[method] ?? actions?.[method];
    if (command === undefined) {
      throw new Error(`no such action: ${method}`);
    }
    const result = await command(...args);
    process.send({ id, result });
  } catch (error) {
    const unsupported = error instanceof peers.Unsupported;
    const text = unsupported ? error.message : String(error?.stack ?? error);
    process.send({ id, error: text, unsupported });
  }
});

process.on('disconnect', () => process.exit());
process.on('unhandledRejection', (error) => fail(error));
process.on('uncaughtException', (error) => fail(error));

/** An exception of the peer fails the round: report it and exit. */
function fail(error) {
  const text = String(error?.stack ?? error);
  if (!process.connected) {
    process.exit(1);
  }
  process.send({ failed: text }, () => process.exit(1));
}
