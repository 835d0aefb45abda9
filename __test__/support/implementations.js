'use strict';

const path = require('node:path');

/**
 * The module to `require` for each implementation that takes part in the tests.
 *
 * `native` is this package, `original` the JavaScript package that it replaces.
 */
const implementations = {
  native: process.env.SOCKHOP_UNDER_TEST || path.join(__dirname, '..', '..'),
  original: 'sockhop-1.8',
};

module.exports = { implementations };
