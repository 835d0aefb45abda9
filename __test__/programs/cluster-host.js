'use strict';

// The primary of a cluster, controlled by its parent. Its workers run cluster-worker.js; it
// forwards their messages with their ids.

const cluster = require('node:cluster');
const path = require('node:path');

const { policy, ...plan } = JSON.parse(process.argv[2]);

cluster.schedulingPolicy = policy === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
cluster.setupPrimary({ exec: path.join(__dirname, 'cluster-worker.js'), args: [] });

const tell = (event, worker, more) => process.send({ event, worker: worker.id, ...more });
cluster.on('listening', (worker, address) => tell('cluster listening', worker, { address }));
cluster.on('disconnect', (worker) => tell('left', worker));
cluster.on('exit', (worker, code, signal) => tell('exit', worker, { code, signal }));
cluster.on('message', (worker, { event, ...more }) => tell(event, worker, more));

const commands = {
  fork: (options) => {
    const worker = cluster.fork({ PLAN: JSON.stringify({ ...plan, ...options }) });
    tell('forked', worker, { pid: worker.process.pid });
  },
  kill: ({ worker, signal }) => process.kill(cluster.workers[worker].process.pid, signal),
  disconnect: ({ worker }) => cluster.workers[worker].disconnect(),
  tell: ({ worker, message }) => cluster.workers[worker].send(message),
};
process.on('message', ({ command, ...options }) => commands[command](options));
