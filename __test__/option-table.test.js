'use strict';

// An option that is added to the table of options works everywhere: this file adds two that the
// package does not have, before anything else is loaded.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const { OPTIONS } = require('../lib/internal/options/table.js');

OPTIONS.push(
  {
    name: 'max_fictions',
    takers: ['client', 'server'],
    kind: 'count',
    isLimit: true,
    default: 12,
    unit: 'fictions',
    max: 100,
    native: { maxFictions: (count) => count * 2 },
    meaning: 'Number of fictions that a peer may tell',
    limits: [
      {
        error: 'ERR_TOO_MANY_FICTIONS',
        how: '`error` event',
        counter: 'refused_fictions',
        counts: 'Fictions beyond `max_fictions`',
      },
    ],
  },
  {
    name: 'fiction_timeout',
    takers: ['request()'],
    kind: 'milliseconds',
    default: 70,
    meaning: 'Time that a fiction may take',
  },
);

const { client, server } = require('../index.js');
const options = require('../lib/internal/options/options.js');
const { LimitCounters } = require('../lib/internal/stats/stats.js');
const { withParts } = require('../scripts/reference.js');

const written = (file) => {
  const text = fs.readFileSync(path.join(__dirname, '..', file), 'utf8');
  assert.ok(!text.includes('fiction'), file);
  return withParts(file, text);
};

describe('an option that is added to the table', () => {
  it('is checked by the constructors, with a message that names its range and default', () => {
    const refused = {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message:
        'The "options.max_fictions" property must be a number of fictions, an integer >= 1 and <= 100, or Infinity ' +
        '(left out, or 0, it is 12). Received type number (101)',
    };
    for (const Side of [client, server]) {
      assert.throws(() => new Side({ max_fictions: 101 }), refused);
      new Side({ max_fictions: 100 });
    }
  });

  it('has its default where it is left out', () => {
    assert.equal(options.normalizeClientOptions({ max_fictions: 0 }).max_fictions, 12);
    assert.equal(options.normalizeRequestOptions({}).fiction_timeout, 70);
    assert.equal(options.normalizeRequestOptions(undefined).fiction_timeout, 70);
    assert.equal(options.normalizeRequestOptions({ fiction_timeout: 5 }).fiction_timeout, 5);
  });

  it('is known to the warnings: a name like it is taken for a mistake', async () => {
    const warned = new Promise((resolve) => {
      process.once('warning', resolve);
    });
    new server({ max_fiction: 5 });
    const { code, message } = await warned;
    assert.equal(code, 'SOCKHOP_UNKNOWN_OPTION');
    assert.match(message, /"max_fiction".*"max_fictions"/);
  });

  it('is among the settings of the native side, converted', () => {
    const settings = options.nativeSettings(options.normalizeClientOptions({ max_fictions: 7 }));
    assert.equal(settings.maxFictions, 14);
    assert.equal(settings.slowConsumer, 'wait');
  });

  it('has a figure in stats(), which counts the errors of its code', () => {
    assert.equal(new client().stats().refused_fictions, 0);
    assert.equal(new server().stats().refused_fictions, 0);
    const counters = new LimitCounters();
    counters.count(Object.assign(new Error('a fiction'), { code: 'ERR_TOO_MANY_FICTIONS' }));
    assert.equal(counters.refused_fictions, 1);
  });

  it('is in the tables of API.md', () => {
    const guide = written('API.md');
    assert.ok(
      guide.includes(
        '| `max_fictions` | integer | `12` | number of fictions that a peer may tell | `ERR_TOO_MANY_FICTIONS`: ' +
          '`error` event | `refused_fictions` |\n',
      ),
    );
    assert.ok(guide.includes('| `refused_fictions` | fictions beyond `max_fictions` |\n'));
    assert.ok(
      guide.includes('| `fiction_timeout` | number, ms | `70` | time that a fiction may take |\n'),
    );
  });

  it('is in the interfaces of index.d.ts', () => {
    const declarations = written('index.d.ts');
    const interfaceOf = (name) =>
      declarations.match(new RegExp(`export interface ${name}\\b[\\s\\S]*?\\n}\\n`))[0];
    assert.ok(
      interfaceOf('SockhopOptions').includes(
        '  /** Number of fictions that a peer may tell. Default: `12`. */\n' +
          '  max_fictions?: number | null | undefined;\n',
      ),
    );
    assert.ok(
      interfaceOf('SockhopStats').includes(
        '  /** Fictions beyond `max_fictions`. */\n  refused_fictions: number;\n',
      ),
    );
    assert.ok(
      interfaceOf('RequestOptions').includes(
        '  /** Time that a fiction may take. In milliseconds. Default: `70`. */\n' +
          '  fiction_timeout?: number | null | undefined;\n',
      ),
    );
  });
});
