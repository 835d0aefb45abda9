'use strict';

// Every block of JavaScript in the documents is a program that runs as printed. Its peer is
// hostile, and the program survives.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const tls = require('node:tls');
const { freePort, temporaryDirectory } = require('./support/addresses.js');
const { issue } = require('./support/certificates.js');
const { implementations } = require('./support/implementations.js');
const { attackClient, attackServer, startProgram, typesIn } = require('./support/under-attack.js');

const limit = { timeout: 600_000 };
const ROOT = path.join(__dirname, '..');
/** The documents at the root of the repository, and the guides. */
const DOCUMENTS = ['.', 'docs'].flatMap((directory) =>
  fs
    .readdirSync(path.join(ROOT, directory))
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.join(directory, name)),
);
/** The languages of blocks that are not programs. */
const OTHER_LANGUAGES = ['', 'sh', 'ini', 'dockerfile', 'text'];
const LANGUAGES = { js: '.js', javascript: '.js', cjs: '.cjs', mjs: '.mjs' };

/** The fenced blocks of a document that are JavaScript. */
function examples(document) {
  const text = fs.readFileSync(path.join(ROOT, document), 'utf8');
  const blocks = [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)];
  return blocks
    .filter(([, language]) => language in LANGUAGES)
    .map(([, language, source], index) => {
      const line = text.slice(0, text.indexOf(source)).split('\n').length;
      return { name: `${document}, ${index + 1}`, line, extension: LANGUAGES[language], source };
    });
}

/** Makes a directory with the block as a program, and the package among its dependencies. */
async function install(t, { source, extension }, certificate = null) {
  const cwd = temporaryDirectory(t);
  for (const name of ['key', 'cert']) {
    if (certificate) fs.writeFileSync(path.join(cwd, `${name}.pem`), certificate[name]);
  }
  const file = path.join(cwd, `example${extension}`);
  fs.writeFileSync(file, source);
  fs.mkdirSync(path.join(cwd, 'node_modules'));
  fs.symlinkSync(
    path.resolve(implementations.native),
    path.join(cwd, 'node_modules', 'sockhop'),
    'dir',
  );
  const port = await freePort();
  const env = { ...process.env, PORT: String(port) };
  return { cwd, port, program: startProgram(t, [file], { cwd, env }) };
}

const all = DOCUMENTS.flatMap(examples);

describe('the documents', () => {
  it('have examples, and none of another language that reads as one', limit, () => {
    assert.ok(all.filter(({ name }) => name.startsWith('README.md')).length >= 3);
    assert.ok(all.filter(({ name }) => name.startsWith('API.md')).length >= 3);
    for (const document of DOCUMENTS) {
      const text = fs.readFileSync(path.join(ROOT, document), 'utf8');
      const untested = [...text.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)].filter(
        ([, language, source]) =>
          !(language in LANGUAGES) &&
          (!OTHER_LANGUAGES.includes(language) || /\brequire\(|^import /m.test(source)),
      );
      assert.deepEqual(untested, [], document);
    }
  });

  /** The last step of a program that ends by itself. */
  const END = /^ +await s\.close\(\);\n/m;

  function itRunsToItsEnd({ name, line, ...example }) {
    it(`${name} (line ${line}): runs to its end`, limit, async (t) => {
      const { program } = await install(t, example);
      const { code, stdout, stderr } = await program.ended();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
      assert.notEqual(stdout, '');
    });
  }

  for (const whole of all) {
    // Its server is attacked before the program closes it.
    if (END.test(whole.source)) itRunsToItsEnd(whole);
    const example = { ...whole, source: whole.source.replace(END, '') };
    const { name, line, source } = example;
    const types = typesIn(source);
    if (/\.listen\((\{.*\})?\)/.test(source)) {
      it(
        `${name} (line ${line}): the server runs, and outlives a hostile client`,
        limit,
        async (t) => {
          const isSecure = /tls\.createServer|ssl_options/.test(source);
          const own = isSecure ? await issue({ name: 'here' }) : null;
          const { cwd, port, program } = await install(t, example, own);
          const [, socket] = source.match(/path: '([^']+)'/) ?? [];
          const where = socket ? { path: path.join(cwd, socket) } : { port, host: '127.0.0.1' };
          if (own) {
            const { cert, key } = own;
            // The certificate is made once, because that takes longer than a handshake.
            const secureContext = tls.createSecureContext({ ca: cert, cert, key });
            where.secure = { secureContext, checkServerIdentity: () => undefined };
          }
          const [, token] = source.match(/^const TOKEN = '(\w+)';$/m) ?? [];
          await attackServer(program, where, types, token);
        },
      );
    } else if (/new client\(|new SockhopClient\(/.test(source)) {
      it(
        `${name} (line ${line}): the client runs, and outlives a hostile server`,
        limit,
        async (t) => {
          const { port, program } = await install(t, example);
          await attackClient(t, program, port, types);
        },
      );
    } else {
      itRunsToItsEnd(example);
    }
  }

  it('show an error listener and captureRejections wherever a handler takes data', limit, () => {
    for (const { name, source } of all) {
      if (!/\.on\('(receive|request)'/.test(source)) continue;
      assert.match(source, /\.on\('error'/, name);
      assert.match(source, /captureRejections: true/, name);
    }
  });
});
