'use strict';

// Runs scenarios on one package: `child.js <package> <original>` runs those that the parent names,
// one after another, and `child.js <package> <original> <scenario>` is the peer of one. Sends the
// traces to the parent over IPC.

const { Context } = require('./context.js');
const { find } = require('./scenarios.js');

const [directory, original, peerOf] = process.argv.slice(2);
const DEADLINE_MS = Number(process.env.CONFORMANCE_DEADLINE_MS || 300_000);

/** The context of the running scenario. @type {?Context} */
let context = null;

// A crash of the program belongs to the comparison, so it is recorded here instead of ending the
// process.
process.on('uncaughtException', (error) => context.log('process', 'uncaughtException', error));
process.on('unhandledRejection', (error) => context.log('process', 'unhandledRejection', error));
process.on('disconnect', () => process.exit());

async function run(name) {
  context = new Context(directory, name, original);
  const scenario = find(name);
  if (peerOf === undefined) await scenario.run(context);
  else await scenario.peer(context, await context.message());
  await context.finish();
}

/** Runs a scenario and sends its trace. The process ends then, or can run another one. */
async function report(name, isLast) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, DEADLINE_MS, `not over after ${DEADLINE_MS} ms`);
  });
  const problem = await Promise.race([run(name).then(noProblem, ({ stack }) => stack), late]);
  clearTimeout(timer);
  const trace = context.trace();
  context.cleanUp();
  process.send({ kind: 'result', trace, problem }, () => isLast && process.exit());
}

const noProblem = () => undefined;

process.on('message', ({ kind, data, isLast }) => {
  if (kind === 'scenario') report(data, isLast);
  else context.deliver(data);
});

if (peerOf !== undefined) report(peerOf, true);
