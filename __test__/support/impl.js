'use strict';

// The package under test. SOCKHOP_UNDER_TEST points the same suites at another implementation of
// the API (a module specifier or an absolute path): what pins down the reference's behaviour passes
// on the reference as well, and what pins down a repaired fault fails there.

const { implementations } = require('./implementations.js');

module.exports = require(implementations.native);
