#!/usr/bin/env node
'use strict';

const { main } = require('./main.js');

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (err) => {
    if (err.code !== 'ERR_SOCKHOP_BINDING') throw err;
    // The message has the reason and the remedy, and a stack would hide them.
    process.stderr.write(`${err.message}\n`);
    process.exitCode = 1;
  },
);
