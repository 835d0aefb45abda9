const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/** A client and a server written for sockhop 1.8.4, which they require as `sockhop`. */
const PROGRAM = path.join(__dirname, 'programs', 'program.js');
const ANSWER = '{"type":"Widget","greeting":"hello 7, you are number 1"}';
const LIMIT_MS = 60_000;

/**
 * Writes the program.
 * @param {string} file
 * @param {string} [name] under which it requires the package
 */
function writeProgram(file, name = 'sockhop') {
  const source = fs.readFileSync(PROGRAM, 'utf8');
  fs.writeFileSync(file, source.replace("require('sockhop')", `require('${name}')`));
}

/** Starts a command; `line` is the first line of its output, `ended` its whole output and its exit code. */
function start([program, ...args], options) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  let output = '';
  let errors = '';
  let haveLine;
  const line = new Promise((resolve) => {
    haveLine = resolve;
  });
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    if (output.includes('\n')) haveLine(output.split('\n')[0]);
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      haveLine('');
      resolve({ code: code ?? signal, output, errors });
    });
  });
  return { line, ended };
}

/**
 * Runs the program as a server and as a client of it, and checks that the client got its answer and that both ended.
 * @param {string[]} command runs the program
 * @param {import('node:child_process').SpawnOptions} options
 */
async function converse(command, options) {
  const server = start([...command, 'server'], options);
  const port = await server.line;
  if (!/^\d+$/.test(port)) assert.fail(`the server did not listen\n${(await server.ended).errors}`);
  const client = await start([...command, 'client', port], options).ended;
  const expected = { code: 0, output: `${ANSWER}\n`, errors: '' };
  assert.deepEqual(client, expected);
  assert.deepEqual(await server.ended, { code: 0, output: `${port}\n`, errors: '' });
}

module.exports = { converse, start, writeProgram };
