'use strict';

/*
 * Runs test files of servers with each server in a cluster over memory: to its clients and its
 * program, a server in a cluster behaves like one without. Arguments are options for Node's
 * test runner.
 */

const path = require('node:path');

const { runSuites } = require('./suites');

const CLUSTERED = path.join(__dirname, '..', '__test__', 'support', 'clustered.js');

/**
 * The test files about a server and its clients. Other files compare the figures of stats(), or the
 * memory of broadcasts, and a cluster keeps broadcasts for the broker as well.
 */
const FILES = [
  'callbacks',
  'calls',
  'client',
  'closing',
  'drain',
  'half-open',
  'handlers',
  'interop-framing',
  'interop-json',
  'interop-messages',
  'interop-ping',
  'life',
  'limits',
  'messages',
  'ping',
  'reconnect',
  'request',
  'server',
  'session',
];

runSuites('SOCKHOP_UNDER_TEST', [CLUSTERED], (name) =>
  FILES.includes(name.replace(/\.test\.js$/, '')),
);
