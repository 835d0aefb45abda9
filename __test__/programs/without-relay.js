'use strict';

// A worker of node:cluster that joins a cluster through its primary process, which has not called
// relay(). It prints why it cannot.

const cluster = require('node:cluster');

const { SockhopServer } = require('../..');
const { workers } = require('../../lib/cluster/workers.js');

if (cluster.isPrimary) cluster.fork();
else {
  const server = new SockhopServer({
    port: 0,
    cluster: { engine: workers(), join_timeout: 2000 },
  });
  server.listen().catch((err) => {
    console.log(err.code, err.message);
    process.disconnect();
  });
}
