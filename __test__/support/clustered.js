'use strict';

// The package, whose servers are each in a cluster over memory with no other node, unless a test
// configures one. SOCKHOP_UNDER_TEST names this file to run suites against them: see
// scripts/clustered.js.

const { memory, MemoryBus } = require('../../lib/cluster/memory.js');
const sockhop = require('../..');

class SockhopServer extends sockhop.SockhopServer {
  constructor(options) {
    super({ cluster: memory({ bus: new MemoryBus() }), ...options });
  }
}

module.exports = { ...sockhop, SockhopServer, server: SockhopServer, Server: SockhopServer };
