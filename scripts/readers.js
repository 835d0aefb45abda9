'use strict';

/*
 * Runs all test files that receive data twice: once with all connections read by the I/O threads,
 * and once with all connections read by the event loop. By default, the traffic of a connection
 * decides. Arguments are options for Node's test runner.
 */

const { runSuites } = require('./suites');

/**
 * The files whose subject depends on which thread reads: what arrives and in which order, pausing, limits, floods, turns
 * of the event loop, and the end of a connection, a program or a worker. Everything else runs in the step "node", where a
 * connection changes readers by its traffic; event-loop.test.js tries both readers by itself.
 */
const FILES = [
  'accepting',
  'backlog',
  'callbacks',
  'chaos',
  'client',
  'closing',
  'cluster',
  'descriptors',
  'early-read',
  'exit',
  'fairness',
  'faults',
  'hand-over',
  'handlers',
  'hostile',
  'interop-framing',
  'interop-messages',
  'interop-ping',
  'life',
  'limits',
  'listener',
  'memory',
  'ping',
  'ping-flood',
  'raw-writes',
  'reconnect',
  'request',
  'server',
  'session',
  'slow-consumers',
  'socket',
  'too-long',
  'workers',
];

runSuites('SOCKHOP_READER', ['runtime', 'loop'], (name) =>
  FILES.includes(name.replace(/\.test\.js$/, '')),
);
