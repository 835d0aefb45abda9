'use strict';

// The tests run on Node, and some of them on Bun and Deno (`npm run runtimes`).

const { bun, deno } = process.versions;

/** @type {'node' | 'bun' | 'deno'} */
const runtime = bun ? 'bun' : deno ? 'deno' : 'node';

/**
 * For the option `skip` of a test.
 *
 * @param {'node' | 'bun' | 'deno'} name a runtime on which the test is left out
 * @param {string} reason
 * @returns {string | false}
 */
const notOn = (name, reason) => runtime === name && reason;

/** @param {string} reason why the test says nothing about other runtimes */
const onNodeOnly = (reason) => runtime !== 'node' && reason;

/** Other runtimes have their own TLS, with other defaults than Node's. */
const nativeTls = runtime === 'node';

module.exports = { nativeTls, notOn, onNodeOnly, runtime };
