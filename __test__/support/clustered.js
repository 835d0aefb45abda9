'use strict';

// The package with servers that are alone in a cluster over memory, unless a test makes one of its
// own. SOCKHOP_UNDER_TEST names this file to run suites against them: see scripts/clustered.js.

const { memory, MemoryBus } = require('../../lib/cluster/memory.js');
const sockhop = require('../..');

class SockhopServer extends sockhop.SockhopServer {
  constructor(options) {
    super({ cluster: memory({ bus: new MemoryBus() }), ...options });
  }
}

module.exports = { ...sockhop, SockhopServer, server: SockhopServer, Server: SockhopServer };
