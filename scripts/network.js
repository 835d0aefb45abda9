'use strict';

/*
 * Runs the suites of interoperability through a proxy that takes what passes to pieces: once byte by byte, once with
 * delays. Arguments are options for Node's test runner.
 */

const { runSuites } = require('./suites');

runSuites('SOCKHOP_NETWORK', ['bytes', 'delays'], (name) => name.startsWith('interop-'));
