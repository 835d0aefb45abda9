'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { Worker } = require('node:worker_threads');

const { countOf, lastParts, uuid } = require('../lib/internal/ids.js');

const V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('an id has the form of an RFC 4122 version 4 UUID', () => {
  for (let i = 0; i < 10_000; i++) assert.match(uuid(), V4);
});

test('no id repeats, even when the counter carries', () => {
  const count = 200_000; // 48 carries from the low half of the counter
  const ids = new Set();
  for (let i = 0; i < count; i++) ids.add(uuid());
  assert.equal(ids.size, count);
});

test('a new random part is generated when the counter is used up', { timeout: 600_000 }, () => {
  const random = (id) => id.slice(0, 30); // all but the counter
  const before = uuid();
  let id = before;
  const perRandomPart = 16 ** 6;
  for (let i = 0; i < perRandomPart; i++) id = uuid();
  assert.match(id, V4);
  assert.notEqual(random(id), random(before));
  assert.equal(random(uuid()), random(id));
});

test('an id is its prefix and its count', () => {
  for (let i = 0; i < 10_000; i++) {
    const id = uuid();
    const { count, prefix } = lastParts();
    assert.equal(countOf(id), count);
    assert.equal(id.slice(0, prefix.length), prefix);
  }
});

test('a value that is not an id has no count', () => {
  const id = uuid();
  const wrong = [
    undefined,
    null,
    7,
    {},
    [id],
    '',
    id.slice(1),
    `${id}0`,
    `${id.slice(0, -1)}g`,
    `${id.slice(0, -1)}A`,
    `${id.slice(0, -1)}\u0661`,
    `${id.slice(0, -1)}\uffff`,
  ];
  for (const value of wrong) assert.equal(countOf(value), -1, String(value));
});

test('two workers draw different ids', { timeout: 600_000 }, async () => {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { uuid } = require(workerData);
    parentPort.postMessage(Array.from({ length: 1000 }, () => uuid()));
  `;
  const workerData = require.resolve('../lib/internal/ids.js');
  const lists = await Promise.all(
    [1, 2].map(
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker(source, { eval: true, workerData });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  const own = Array.from({ length: 1000 }, () => uuid());
  assert.equal(new Set([...lists.flat(), ...own]).size, 3000);
});
