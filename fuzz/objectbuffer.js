'use strict';

// `npm run fuzz -- objectbuffer <seconds> [seed]`: ObjectBuffer of this package and of the original, given the same
// bytes in the same chunks, must give the same objects and the same errors. Left out is what the original is known
// to get wrong (COMPATIBILITY in MIGRATION.md): terminators beyond ASCII, and characters that a chunk cuts in two.

const fs = require('node:fs');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');

const { randomFrom } = require('../__test__/chaos/proxy.js');
const Ours = require('../lib/ObjectBuffer.js');
const Theirs = require('sockhop-1.8/lib/ObjectBuffer.js');

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

function pick(random, list) {
  return list[Math.floor(random() * list.length)];
}

/** A stream: frames from the table, spoiled here and there. */
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
    // Within ASCII: the original decodes chunk by chunk.
    if (random() < 0.5) stream[Math.floor(random() * stream.length)] = Math.floor(random() * 128);
  }
  return stream;
}

function makeChunks(random, stream) {
  const chunks = [];
  // The original takes a time that grows with the square of the number of chunks.
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

/** What an ObjectBuffer makes of it. */
function trace(ObjectBuffer, options, chunks, withBuffers) {
  const buffer = new ObjectBuffer(options);
  const events = [];
  buffer.on('error', ({ code, message }) => events.push({ code, message }));
  for (const chunk of chunks) {
    // A copy each: the original keeps what it is given.
    for (const object of buffer.buf2obj(Buffer.from(chunk), withBuffers)) events.push({ object });
  }
  return events;
}

function main([time = '60', start = String(Date.now())]) {
  const seconds = Number(time);
  const seed = Number(start) >>> 0;
  const random = randomFrom(seed);
  const end = Date.now() + seconds * 1000;
  let executions = 0;
  let objects = 0;
  let errors = 0;
  while (Date.now() < end) {
    for (let i = 0; i < 100; i += 1) {
      const terminator = pick(random, TERMINATORS);
      const options = { terminator, allow_non_objects: random() < 0.3 };
      const chunks = makeChunks(random, makeStream(random, terminator));
      const ours = trace(Ours, options, chunks, false);
      const theirs = trace(Theirs, options, chunks, false);
      executions += 1;
      // Errors are told as they are met; objects are handed over at the end of the chunk.
      for (const event of ours) {
        if (event.code) errors += 1;
        else objects += 1;
      }
      if (isDeepStrictEqual(ours, theirs)) continue;
      const artifact = path.join(
        __dirname,
        'artifacts',
        'objectbuffer',
        `${seed}-${executions}.json`,
      );
      fs.mkdirSync(path.dirname(artifact), { recursive: true });
      const input = { options, chunks: chunks.map((chunk) => chunk.toString('latin1')) };
      fs.writeFileSync(artifact, JSON.stringify({ ...input, ours, theirs }, null, 2));
      console.error(`objectbuffer: the two differ after ${executions} executions: ${artifact}`);
      process.exitCode = 1;
      return;
    }
  }
  console.log(
    `objectbuffer: ${executions} executions, ${objects} objects, ${errors} errors, no difference (seed ${seed})`,
  );
}

main(process.argv.slice(2));
