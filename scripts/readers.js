'use strict';

/*
 * Runs all test files that receive data twice: once with all connections read by the I/O threads,
 * and once with all connections read by the event loop. By default, the traffic of a connection
 * decides. Arguments are options for Node's test runner.
 */

const { runSuites } = require('./suites');

/**
 * The test files that are left out. They read from no connection of this package, use TLS (which
 * the I/O threads read in both cases), test both readers themselves, or run long and switch readers
 * by their traffic.
 */
const LEFT_OUT =
  /^(api-rows|binding|demo|differential|documents|error|errors|event-loop|exactly-once|examples|json|mistakes|object-buffer|option-table|options|package|pending-callbacks|profile|reference|timed-map|tls.*|uuid|write-coalescer)\.test\.js$/;

runSuites('SOCKHOP_READER', ['runtime', 'loop'], (name) => !LEFT_OUT.test(name));
