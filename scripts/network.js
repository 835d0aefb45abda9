'use strict';

/*
 * Runs the interoperability tests through a proxy that splits the data: once byte by byte, and once
 * with delays. Arguments are options for Node's test runner.
 */

const { runSuites } = require('./suites');

runSuites('SOCKHOP_NETWORK', ['bytes', 'delays'], (name) => name.startsWith('interop-'));
