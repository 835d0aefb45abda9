'use strict';

// Finished work is released: objects to the garbage collector, descriptors and memory to the
// system.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const path = require('node:path');
const { describe, it } = require('node:test');
const { cases } = require('./programs/collector.js');
const { canCount } = require('./support/resources.js');
const { endpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');

const limit = { timeout: 600_000 };
const COLLECTOR = path.join(__dirname, 'programs', 'collector.js');
const CYCLES = path.join(__dirname, '..', 'benchmark', 'memory', 'cycles.js');

/** Runs a program to its end, and returns its output. */
async function output(t, ...args) {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  cleanup(t, () => child.kill('SIGKILL'));
  const text = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (piece) => {
    text.out += piece;
  });
  child.stderr.setEncoding('utf8').on('data', (piece) => {
    text.err += piece;
  });
  const code = await deadline(
    new Promise((resolve) => child.on('close', resolve)),
    () => `${args.join(' ')}\n${text.out}${text.err}`,
    150_000,
  );
  assert.equal(code, 0, `${text.out}${text.err}`);
  return JSON.parse(text.out);
}

/** The garbage collector does not depend on the reader, with which a brief run is repeated. */
const collected = process.env.SOCKHOP_BRIEF ? transports.slice(0, 1) : transports;

for (const transport of collected) {
  describe(`the garbage collector takes (${transport})`, () => {
    const left = async (t, name) => {
      const place = await endpoint(t, transport);
      return output(t, '--expose-gc', COLLECTOR, JSON.stringify({ name, place }));
    };

    const [held, ...over] = cases;
    it(`not ${held}`, limit, async (t) => {
      assert.deepEqual(await left(t, held), ['server (1)', 'client (1)', 'waiting (1)']);
    });

    for (const name of over) {
      it(name, limit, async (t) => {
        assert.deepEqual(await left(t, name), []);
      });
    }
  });
}

describe('connections that open, exchange messages and close', () => {
  const skip = !canCount && 'this system does not show what a process holds';
  it('leave neither descriptors nor handles nor threads, and memory levels off', {
    ...limit,
    skip,
  }, async (t) => {
    const { faults, end } = await output(
      t,
      CYCLES,
      '--cycles',
      '2000',
      '--samples',
      '24',
      '--no-save',
    );
    assert.deepEqual(faults, []);
    assert.ok(end.server.descriptors > 0);
  });
});
