'use strict';

// Runs one scenario on one package: `child.js <package> <scenario> <original> [peer]`. Sends the
// trace to the parent over IPC.

const { Context } = require('./context.js');
const { find } = require('./scenarios.js');

const [directory, name, original, part = 'run'] = process.argv.slice(2);
const DEADLINE_MS = Number(process.env.CONFORMANCE_DEADLINE_MS || 300_000);

const context = new Context(directory, name, original);
let over = false;

// A crash of the program is part of what is compared: recorded here instead of ending the process.
process.on('uncaughtException', (error) => context.log('process', 'uncaughtException', error));
process.on('unhandledRejection', (error) => context.log('process', 'unhandledRejection', error));
process.on('message', (message) => context.deliver(message.data));
process.on('disconnect', () => process.exit());

function report(problem) {
  if (over) return;
  over = true;
  const trace = context.trace();
  context.cleanUp();
  process.send({ kind: 'result', trace, problem }, () => process.exit());
}

async function main() {
  const scenario = find(name);
  const argument = part === 'peer' ? await context.message() : undefined;
  await scenario[part](context, argument);
  await context.finish();
}

setTimeout(() => report(`not over after ${DEADLINE_MS} ms`), DEADLINE_MS);
main().then(
  () => report(),
  (error) => report(error.stack),
);
