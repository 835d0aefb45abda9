'use strict';

/** The exit codes of all commands. */
const EXIT = Object.freeze({ ok: 0, failed: 1, usage: 2, noAnswer: 3, unexpected: 4 });

module.exports = { EXIT };
