'use strict';

/*
 * Runs the test files whose subject depends on the reader, with all connections read by the I/O
 * threads. Then runs those with floods and bulk data with all connections read by the event loop.
 * By default, the traffic of a connection decides. Arguments are options for Node's test runner.
 */

const { runSuites } = require('./suites');

/**
 * The test files whose subject depends on the reader: the order of messages, pausing, limits,
 * floods, turns of the event loop, and the end of a connection, a program or a worker. The step
 * "node" runs the others, with the reader that the traffic decides; event-loop.test.js tests both
 * readers itself.
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

/**
 * The files in which the traffic can hand a connection to the I/O threads: 512 small packets within
 * 20 ms without an answer, or bulk data. In the others the event loop reads in any case, so the
 * steps "node" and "node-slow" have run them with this reader.
 */
const FLOODS = [
  'backlog',
  'chaos',
  'closing',
  'fairness',
  'faults',
  'hostile',
  'interop-framing',
  'limits',
  'memory',
  'ping-flood',
  'raw-writes',
  'slow-consumers',
  'too-long',
  'workers',
];

const filesOf = { runtime: FILES, loop: FLOODS };

/** The repetitions of randomized tests; the step "node-slow" repeats them more often. */
const REPEAT = '2';

runSuites(
  'SOCKHOP_READER',
  Object.keys(filesOf),
  (name, reader) => filesOf[reader].includes(name.replace(/\.test\.js$/, '')),
  { SOCKHOP_REPEAT: REPEAT },
);
