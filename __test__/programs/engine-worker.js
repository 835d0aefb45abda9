'use strict';

// A worker of node:cluster with an engine through its primary process, which the tests are in. It
// carries out their commands, and reports the messages that the engine delivers.

const { workers } = require('../../lib/cluster/workers.js');

const engine = workers();

const host = (inbox) => ({
  inbox,
  deliver: (subject, bytes) =>
    process.send({ event: 'deliver', args: [subject, Buffer.from(bytes).toString('latin1')] }),
  state: (isUp, cause) => process.send({ event: 'state', args: [isUp, cause?.message] }),
  nobody: (ticket) => process.send({ event: 'nobody', args: [ticket] }),
});

process.on('message', async ({ call, method, args }) => {
  if (call === undefined) return;
  try {
    if (method === 'open') args[0] = host(args[0]);
    if (method === 'publish') args[1] = Buffer.from(args[1], 'latin1');
    const result = await engine[method](...args);
    process.send({ call, result });
  } catch (err) {
    process.send({ call, error: err.message });
  }
});

process.send({ event: 'ready' });
