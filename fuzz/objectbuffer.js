'use strict';

// `npm run fuzz -- objectbuffer <seconds>`: gives ObjectBuffer of this package and that of the
// original the same bytes in the same chunks. Both must return the same objects and errors. Known
// faults of the original are left out (see MIGRATION.md): terminators beyond ASCII, and characters
// that are divided between two chunks.
//
//   node fuzz/objectbuffer.js [seconds] [seed]
//   node fuzz/objectbuffer.js seeds       writes fuzz/seeds/objectbuffer.json: small inputs with
//                                         different results, with which every run starts

const fs = require('node:fs');
const path = require('node:path');
const { setImmediate: turn } = require('node:timers/promises');
const { isDeepStrictEqual } = require('node:util');

const { randomFrom } = require('../__test__/chaos/proxy.js');
const Ours = require('../lib/ObjectBuffer.js');
const Theirs = require('sockhop-1.8/lib/ObjectBuffer.js');

const SEEDS = path.join(__dirname, 'seeds', 'objectbuffer.json');
const MOST_SEEDS = 200;

const TERMINATORS = ['\n', '\r\n', '\0', '--end--', 'aab', ['\n', '\0'], ['ab', '\n']];

const TEXTS = [
  '{"type":"Widget","data":{"a":1}}',
  '{"type":"String","data":"text","id":"6f1a"}',
  '[]',
  '{}',
  'null',
  'true',
  '0',
  '-1e999',
  '"text"',
  '""',
  '',
  ' ',
  '{"__proto__":{"a":1}}',
  '{"a":1,"a":2}',
  '[1,2,[3,{"b":null}]]',
  '{"a":',
  'not JSON',
  'ab',
  'a',
  'aa',
  '--end-',
  '--',
  '\r',
  '"\\u0000\\ud800"',
  '\t{ "a" : 1 }\t',
];

/** The interval of progress messages. */
const TELL_MS = 60_000;

function pick(random, list) {
  return list[Math.floor(random() * list.length)];
}

/** Makes a stream of frames from the table, some of them damaged. */
function makeStream(random, terminator) {
  const receive = Array.isArray(terminator) ? terminator[0] : terminator;
  const parts = [];
  const count = 1 + Math.floor(random() * 12);
  for (let i = 0; i < count; i += 1) {
    parts.push(Buffer.from(pick(random, TEXTS)));
    if (random() < 0.9) parts.push(Buffer.from(receive));
    if (random() < 0.1)
      parts.push(Buffer.from(receive.slice(0, 1 + Math.floor(random() * receive.length))));
    if (random() < 0.05) parts.push(Buffer.from(`"${'x'.repeat(70_000 * random())}"`));
  }
  const stream = Buffer.concat(parts);
  for (let spoiled = Math.floor(random() * 3); spoiled > 0 && stream.length > 0; spoiled -= 1) {
    // Only ASCII, because the original decodes each chunk by itself.
    if (random() < 0.5) stream[Math.floor(random() * stream.length)] = Math.floor(random() * 128);
  }
  return stream;
}

function makeChunks(random, stream) {
  const chunks = [];
  // The time of the original is quadratic in the number of chunks.
  const most = pick(
    random,
    stream.length < 1000 ? [1, 2, 3, 10, 100, 1000] : [5000, 50_000, 100_000],
  );
  for (let at = 0; at < stream.length; ) {
    const size = 1 + Math.floor(random() * most);
    chunks.push(stream.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

/** Divides a seed into other chunks, and may damage it or append another seed. */
function mutate(random, seeds) {
  const { options, chunks } = pick(random, seeds);
  const parts = [...chunks];
  if (random() < 0.5) parts.push(...pick(random, seeds).chunks);
  const stream = Buffer.from(parts.join(''), 'latin1');
  if (stream.length > 0 && random() < 0.5) {
    stream[Math.floor(random() * stream.length)] = Math.floor(random() * 128);
  }
  return { options, chunks: makeChunks(random, stream) };
}

function makeInput(random, seeds) {
  if (seeds.length > 0 && random() < 0.3) return mutate(random, seeds);
  const terminator = pick(random, TERMINATORS);
  const options = { terminator, allow_non_objects: random() < 0.3 };
  return { options, chunks: makeChunks(random, makeStream(random, terminator)) };
}

/** The objects and errors of an ObjectBuffer for an input. */
function trace(ObjectBuffer, options, chunks, withBuffers) {
  const buffer = new ObjectBuffer(options);
  const events = [];
  buffer.on('error', ({ code, message }) => events.push({ code, message }));
  for (const chunk of chunks) {
    // Each gets a copy, because the original keeps a reference to the bytes.
    for (const object of buffer.buf2obj(Buffer.from(chunk), withBuffers)) events.push({ object });
  }
  return events;
}

/** Whether the results are the same; if not, the input is stored. */
function agree({ options, chunks }, name, counts) {
  const ours = trace(Ours, options, chunks, false);
  const theirs = trace(Theirs, options, chunks, false);
  counts.executions += 1;
  // Errors are emitted at once; objects are returned at the end of the chunk.
  for (const event of ours) {
    if (event.code) counts.errors += 1;
    else counts.objects += 1;
  }
  if (isDeepStrictEqual(ours, theirs)) return true;
  const artifact = path.join(__dirname, 'artifacts', 'objectbuffer', `${name}.json`);
  fs.mkdirSync(path.dirname(artifact), { recursive: true });
  const input = { options, chunks: chunks.map((chunk) => chunk.toString('latin1')) };
  fs.writeFileSync(artifact, JSON.stringify({ ...input, ours, theirs }, null, 2));
  console.error(`objectbuffer: the two differ after ${counts.executions} executions: ${artifact}`);
  process.exitCode = 1;
  return false;
}

function readSeeds() {
  return fs.existsSync(SEEDS) ? JSON.parse(fs.readFileSync(SEEDS, 'utf8')) : [];
}

/** Small inputs, each with a result that no earlier input has. */
function makeSeeds() {
  const random = randomFrom(1);
  const outcomes = new Map();
  for (let tries = 0; tries < 200_000 && outcomes.size < MOST_SEEDS; tries += 1) {
    const { options, chunks } = makeInput(random, []);
    if (chunks.reduce((sum, { length }) => sum + length, 0) > 100) continue;
    const outcome = trace(Ours, options, chunks, false).map(
      ({ code, object }) => code ?? typeof object,
    );
    const key = JSON.stringify([options, outcome.slice(0, 3)]);
    if (outcomes.has(key)) continue;
    outcomes.set(key, { options, chunks: chunks.map((chunk) => chunk.toString('latin1')) });
  }
  fs.mkdirSync(path.dirname(SEEDS), { recursive: true });
  const lines = [...outcomes.values()].map((seed) => JSON.stringify(seed));
  fs.writeFileSync(SEEDS, `[\n${lines.join(',\n')}\n]\n`);
  console.log(`objectbuffer: ${lines.length} seeds`);
}

async function main([time = '60', start = String(Date.now())]) {
  if (time === 'seeds') return makeSeeds();
  const seconds = Number(time);
  const seed = Number(start) >>> 0;
  const random = randomFrom(seed);
  const end = Date.now() + seconds * 1000;
  const counts = { executions: 0, objects: 0, errors: 0 };
  const seeds = readSeeds();
  for (const [number, { options, chunks }] of seeds.entries()) {
    const bytes = chunks.map((chunk) => Buffer.from(chunk, 'latin1'));
    if (!agree({ options, chunks: bytes }, `seed-${number}`, counts)) return;
  }
  const tell = (more) =>
    console.log(
      `objectbuffer: ${counts.executions} executions, ${counts.objects} objects, ${counts.errors} errors${more}`,
    );
  let told = Date.now();
  while (Date.now() < end) {
    // The memory of native objects is freed between two turns of the event loop.
    await turn();
    if (Date.now() - told >= TELL_MS) {
      told = Date.now();
      tell('');
    }
    for (let i = 0; i < 100; i += 1) {
      if (!agree(makeInput(random, seeds), `${seed}-${counts.executions + 1}`, counts)) return;
    }
  }
  tell(`, no difference (seed ${seed})`);
}

main(process.argv.slice(2));
