'use strict';

// Runs the functions that it is sent one after the other, each with a copy of the package of its
// own, and answers with the warnings of the process meanwhile. A process for each would take a tenth
// of a second of processor time.

const path = require('node:path');
const { implementations } = require('../support/implementations.js');

const root = path.dirname(require.resolve(implementations.native));
let warnings = [];

/** Loads the package again. Node loads a binding once for each process. */
function freshCopy() {
  for (const name of Object.keys(require.cache)) {
    if (name.startsWith(root) && !name.endsWith('.node')) delete require.cache[name];
  }
  return require(implementations.native);
}

async function run({ source, argument }) {
  warnings = [];
  const main = new Function('require', `return (${source});`)(require);
  try {
    await main(freshCopy(), argument);
  } catch (err) {
    return { error: err.stack };
  }
  // A warning is emitted in the tick after its cause.
  await new Promise((resolve) => setImmediate(resolve));
  return { warnings };
}

// Each copy listens to the end of the process.
process.setMaxListeners(0);
process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }));
process.on('message', async (wanted) => process.send(await run(wanted)));
