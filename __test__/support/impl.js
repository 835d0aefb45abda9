'use strict';

// The package under test. SOCKHOP_UNDER_TEST runs the same suites against another implementation of
// the API (a module specifier or an absolute path). Tests of the original's behaviour pass on the
// original as well; tests of repaired faults fail there.

const { implementations } = require('./implementations.js');

module.exports = require(implementations.native);
