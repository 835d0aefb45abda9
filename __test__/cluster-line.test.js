'use strict';

// The messages between nodes as bytes: their line, their signature and their subjects.

const assert = require('node:assert/strict');
const { randomBytes, randomInt } = require('node:crypto');
const { describe, it } = require('node:test');

const { BadLine, read, signedParts, write } = require('../lib/internal/cluster/line.js');
const { Signer } = require('../lib/internal/cluster/signing.js');
const { Subjects } = require('../lib/internal/cluster/subjects.js');

const NODE = 'abcdefghijklmnop';

const bytesOf = (fields, signature = '') => {
  const { head, body } = write({ node: NODE, seq: 7, bseq: 3, ...fields });
  return Buffer.from(`${head}${signature}\n${body}`);
};

const refusal = (bytes) => {
  try {
    read(bytes).extra();
  } catch (err) {
    assert.ok(err instanceof BadLine, String(err.stack));
    return err.reason;
  }
  return null;
};

describe('a message between nodes', () => {
  it('is read as it was written', () => {
    const extra = JSON.stringify({ g: 'Zimmer ü' });
    const payload = '{"text":"日本語\\n"}';
    const bytes = bytesOf({ kind: 'G', type: 'Größe', extra, payload, flags: 1 });
    const line = read(new Uint8Array(bytes));
    const { kind, node, seq, bseq, type, isSentAgain } = line;
    assert.deepEqual(
      { kind, node, seq, bseq, type, isSentAgain },
      { kind: 'G', node: NODE, seq: 7, bseq: 3, type: 'Größe', isSentAgain: true },
    );
    assert.deepEqual(line.extra(), { g: 'Zimmer ü' });
    assert.equal(line.payload(), payload);
  });

  it('may have further fields in its line, which are ignored', () => {
    const bytes = bytesOf({ kind: 'A', payload: '1' }, ' - future field');
    const line = read(bytes);
    assert.equal(line.signature, undefined);
    assert.equal(line.payload(), '1');
  });

  it('is refused if it is of another version, or malformed', () => {
    assert.equal(refusal(Buffer.from(`SH2 A ${NODE} 1 1 0 0 0\n`)), 'version');
    for (const text of [
      '',
      'hello',
      '\n',
      'GET / HTTP/1.1\r\n',
      `SH1 A ${NODE} 1 1 0 0 0`,
      `SH1 A short 1 1 0 0 0\n`,
      `SH1 A ${NODE} -1 1 0 0 0\n`,
      `SH1 A ${NODE} 1 1 0 5 0\nabc`,
      `SH1 A ${NODE} 1 1 0 0 999999999\n`,
      `SH1 A ${NODE} 1 1 0 0 4\nnull`,
      `SH1 A ${NODE} 1 1 0 0 3\n{"a`,
      `SH1 A ${NODE} 99999999999999999999 1 0 0 0\n`,
      `${'x'.repeat(600)}\n`,
    ]) {
      assert.equal(refusal(Buffer.from(text)), 'malformed', JSON.stringify(text));
    }
  });

  it('with any bytes changed is read or refused, and nothing else happens', () => {
    const good = bytesOf({ kind: 'S', type: 'Object', extra: '{"s":1}', payload: '{"n":1}' });
    for (let n = 0; n < 20_000; n += 1) {
      const bytes = Buffer.from(good.subarray(0, randomInt(good.length + 1)));
      for (let i = randomInt(4); i > 0 && bytes.length > 0; i -= 1) {
        bytes[randomInt(bytes.length)] = randomInt(256);
      }
      refusal(bytes);
      refusal(randomBytes(randomInt(80)));
    }
  });
});

describe('the signature of a message between nodes', () => {
  const sign = (signer, subject, fields) => {
    const { head, body } = write({ node: NODE, seq: 7, bseq: 3, ...fields });
    return Buffer.from(`${head} ${signer.sign(subject, head, body)}\n${body}`);
  };
  const accepts = (signer, subject, bytes) => {
    const line = read(bytes);
    return signer.verify(subject, signedParts(bytes, line), line.signature);
  };
  const signer = new Signer(['first', 'second']);

  it('is accepted if it was made with any of the keys', () => {
    const fields = { kind: 'A', type: 'Object', payload: '{"ü":1}' };
    const other = new Signer([Buffer.from('second')]);
    assert.equal(accepts(signer, 'x.a', sign(signer, 'x.a', fields)), true);
    assert.equal(accepts(signer, 'x.a', sign(other, 'x.a', fields)), true);
    assert.equal(accepts(other, 'x.a', sign(signer, 'x.a', fields)), false);
  });

  it('covers every byte of the message, and its subject', () => {
    const bytes = sign(signer, 'x.a', { kind: 'A', extra: '{"a":1}', payload: '{"n":1}' });
    assert.equal(accepts(signer, 'x.b', bytes), false);
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] ^= 1;
      let isAccepted = false;
      try {
        isAccepted = accepts(signer, 'x.a', changed);
      } catch (err) {
        assert.ok(err instanceof BadLine);
      }
      assert.equal(isAccepted, false, `byte ${at}`);
    }
  });
});

describe('the subjects of groups', () => {
  it('are the names if these are plain, and hashes of the names otherwise', () => {
    const subjects = new Subjects('app', true);
    assert.match(subjects.group('room-5').subject, /^app\.g\.\d+\.room-5$/);
    for (const name of ['a b', 'a.b', '*', '>', 'x'.repeat(65), 'ü', '=x']) {
      assert.match(subjects.group(name).subject, /^app\.g\.\d+\.=[A-Za-z0-9_-]{22}$/, name);
    }
  });

  it('are those of 256 shards where an engine has no patterns', () => {
    const subjects = new Subjects('app', false);
    const all = new Set();
    for (let n = 0; n < 5000; n += 1) all.add(subjects.group(`room ${n}`).subject);
    assert.equal(all.size, 256);
  });
});
