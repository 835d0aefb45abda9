'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { afterEach, beforeEach, describe, it } = require('node:test');

const DEMO = path.join(path.dirname(__dirname), 'examples', 'demo');
/** Ends a demonstration that hangs beyond its own limit. */
const LIMIT_MS = 10 * 60_000;

/** Runs the demonstration. The server process first loads `sabotage`, a program text. */
function demonstrate(directory, sabotage) {
  const env = { ...process.env, TMPDIR: directory };
  if (sabotage) {
    const preload = path.join(directory, 'sabotage.js');
    const inServer = "process.argv[1]?.endsWith('server.js')";
    fs.writeFileSync(preload, `if (${inServer}) {\n${sabotage}\n}\n`);
    env.NODE_OPTIONS = `--require ${preload}`;
  }
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [DEMO], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    const deadline = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(deadline);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

describe('the demonstration', () => {
  let directory;

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-demo-test-'));
  });

  afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

  it('shows everything that it promises, ends by itself, and leaves nothing behind', async () => {
    const { code, stdout, stderr } = await demonstrate(directory);
    assert.equal(code, 0, stdout + stderr);
    for (const client of ['native', 'original']) {
      for (const where of ['TCP', 'Unix']) {
        const line = (what) => new RegExp(`  ${client} +✓ ${where}: ${what}`);
        assert.match(stdout, line('the answer to the password: .*admitted: true'));
        assert.match(stdout, line("the answer to the Widget: Widget { label: 'polished cog'"));
        assert.match(stdout, line("the answer to the String: String 'SMØRREBRØD, PLEASE'"));
        assert.match(stdout, line("the answer to the Array: Array \\[ 'apple', 'fig', 'pear' \\]"));
        assert.match(stdout, line("reconnected: 'connected'"));
      }
      assert.match(stdout, new RegExp(`  server +✓ ${client} answers the question .*Number 42`));
    }
    assert.match(stdout, / {2}intruder +✓ TCP: the answer to the password: .*admitted: false/);
    assert.match(stdout, / {2}intruder +✓ TCP: the server ends the connection: 'disconnected'/);
    assert.equal(stdout.match(/ {2}server +has ended, exit code 0/g)?.length, 2);
    assert.match(stdout, /72 answers, all as expected/);
    // No terminal, no colours.
    assert.ok(!stdout.includes('\u001b'), 'there are escape sequences in the output');
    assert.equal(stderr, '');
    assert.deepEqual(fs.readdirSync(directory), []);
  });

  it('exits with 1 and names the answer that is wrong', async () => {
    const sabotage = "String.prototype.toUpperCase = () => 'SOMETHING ELSE';";
    const { code, stderr } = await demonstrate(directory, sabotage);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /FAILED: native: "TCP: the answer to the String": expected .*SMØRREBRØD/);
    assert.match(stderr, /got String 'SOMETHING ELSE'/);
    assert.deepEqual(fs.readdirSync(directory), ['sabotage.js']);
  });

  it('exits with 1 and names the answer that is missing', async () => {
    const sabotage = 'Array.prototype.sort = () => process.kill(process.pid, "SIGKILL");';
    const { code, stderr } = await demonstrate(directory, sabotage);
    assert.equal(code, 1, stderr);
    assert.match(
      stderr,
      /FAILED: (server was ended by SIGKILL|native: "TCP: the answer to the Array")/,
    );
    assert.deepEqual(fs.readdirSync(directory), ['sabotage.js']);
  });
});
