'use strict';

/*
 * Runs all suites that receive anything once with every connection read by the runtime, and once with every
 * connection read by the event loop. (Otherwise a connection changes from one to the other by what comes.)
 * Arguments are options for Node's test runner.
 */

const { runSuites } = require('./suites');

/**
 * What reads nothing from a connection of this package's, what the runtime reads in both (TLS), what tries both readers
 * by itself (the event loop), and what runs long and changes readers by what comes: the comparison of both
 * implementations and the account of messages.
 */
const LEFT_OUT =
  /^(api-rows|binding|demo|differential|documents|error|errors|event-loop|exactly-once|examples|json|mistakes|object-buffer|option-table|options|package|pending-callbacks|profile|reference|timed-map|tls.*|uuid|write-coalescer)\.test\.js$/;

runSuites('SOCKHOP_READER', ['runtime', 'loop'], (name) => !LEFT_OUT.test(name));
