'use strict';

// Writes the generated parts of API.md and index.d.ts: options, figures of stats() and codes of
// errors, from the tables in lib/internal. Each part stands between two lines of comment that have
// its name.
//
//   npm run reference              writes them
//   npm run reference -- --check   fails if one is out of date

const fs = require('node:fs');
const path = require('node:path');

const { NODE_CODES, OTHER_CODES, SOCKHOP_CODES } = require('../lib/internal/errors/codes.js');
const { KINDS } = require('../lib/internal/options/kinds.js');
const { OPTIONS } = require('../lib/internal/options/table.js');
const { CLUSTER_FIGURES, FIGURES } = require('../lib/internal/stats/figures.js');

const ROOT = path.dirname(__dirname);
const WIDTH = 100;
const MIB = 1024 * 1024;

// ---- options ---------------------------------------------------------------------------------

/** The default of an option, in Markdown. */
function defaultText({ shown, kind, default: value }) {
  // Words, or code.
  if (shown !== undefined) return /^[a-z ]+$/.test(shown) ? shown : `\`${shown}\``;
  const text = `\`${typeof value === 'string' ? JSON.stringify(value) : value}\``;
  return kind === 'bytes' ? `${text} (${value / MIB} MiB)` : text;
}

/** The text of a cell, which begins with a small letter unless it begins with an acronym. */
const cell = (text) => text.replace(/^(?:[A-Z](?=[a-z])|A(?= ))/, (letter) => letter.toLowerCase());

const tableOf = (rows) =>
  rows.map((cells) => `| ${cells.map(cell).join(' | ')} |`.replace(/ {2}/g, ' '));

function optionTable(options) {
  return [
    ...tableOf([['option', 'type', 'default', 'meaning']]),
    '| --- | --- | --- | --- |',
    ...tableOf(
      options.map((option) => [
        `\`${option.name}\``,
        KINDS[option.kind].documented,
        defaultText(option),
        option.meaning,
      ]),
    ),
  ];
}

function limitTable(options) {
  const rows = options.map((option) => {
    const { name, kind, takers, meaning, limits = [] } = option;
    const whose = takers.includes('client') ? '' : 'Server only. ';
    return [
      `\`${name}\``,
      KINDS[kind].documented,
      defaultText(option),
      `${whose}${meaning}`,
      limits.map(({ error, how }) => `\`${error}\`: ${how}`).join('; '),
      limits.map(({ counter }) => `\`${counter}\``).join(', '),
    ];
  });
  return [
    ...tableOf([['option', 'type', 'default', 'meaning', 'error', 'counted as']]),
    '| --- | --- | --- | --- | --- | --- |',
    ...tableOf(rows),
  ];
}

const has = (taker) => (option) => option.takers.includes(taker);
const isLimit = (option) => option.isLimit === true;
const isPlain = (option) => !isLimit(option);

/** Markdown for the comment of a declaration, which cannot show links. */
const withoutLinks = (text) =>
  text.replace(/, see \[[^\]]*\]\([^)]*\)/g, '').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');

/** A comment in front of a member of an interface. */
function comment(text) {
  const line = `  /** ${text} */`;
  if (line.length <= WIDTH) return [line];
  const lines = [];
  let current = '   *';
  for (const word of text.split(' ')) {
    if (`${current} ${word}`.length > WIDTH) {
      lines.push(current);
      current = '   *';
    }
    current += ` ${word}`;
  }
  return ['  /**', ...lines, current, '   */'];
}

const UNITS = {
  milliseconds: ' In milliseconds.',
  millisecondsOrNone: ' In milliseconds.',
  bytes: ' In bytes.',
};

/** The member of an interface for an option. */
function member(option) {
  const { name, kind, meaning, declared = KINDS[kind].declared } = option;
  const what = withoutLinks(meaning).replace(': see below', '');
  const isRequired = option.shown === 'required';
  const usual = isRequired ? '' : ` Default: ${defaultText(option)}.`;
  return [
    ...comment(`${what}.${UNITS[kind] ?? ''}${usual}`),
    `  ${name}${isRequired ? '' : '?'}: ${declared};`,
  ];
}

const members = (isMember) => () => OPTIONS.filter(isMember).flatMap(member);

const isShared = (option) => has('client')(option) && has('server')(option);

// ---- figures and codes -----------------------------------------------------------------------

const figureTable = (figures) => () => [
  '| key | meaning |',
  '| --- | --- |',
  ...tableOf(Object.entries(figures).map(([name, { meaning }]) => [`\`${name}\``, meaning])),
];

const figureMembers = (figures) => () =>
  Object.entries(figures).flatMap(([name, { meaning, declared = 'number' }]) => [
    ...comment(`${meaning}.`),
    `  ${name}: ${declared};`,
  ]);

function codeTable() {
  const rows = [
    ...Object.entries({ ...SOCKHOP_CODES, ...NODE_CODES }).map(([code, entry]) => ({
      codes: [code],
      ...entry,
    })),
    ...OTHER_CODES.map(({ codes, ...entry }) => ({ codes, more: ', ...', ...entry })),
  ];
  return [
    '| code | cause | remedy |',
    '| --- | --- | --- |',
    ...tableOf(
      rows.map(({ codes, more = '', cause, remedy = '' }) => [
        codes.map((code) => `\`${code}\``).join(', ') + more,
        cause,
        remedy,
      ]),
    ),
  ];
}

function codeUnion() {
  const lines = Object.keys(SOCKHOP_CODES).map((code) => `  | '${code}'`);
  return ['export type SockhopErrorCode =', ...lines.slice(0, -1), `${lines.at(-1)};`];
}

// ---- files -----------------------------------------------------------------------------------

/** The generated parts of each file, by their names. */
const PARTS = {
  'API.md': {
    'options of a client': () => optionTable(OPTIONS.filter(has('client')).filter(isPlain)),
    'options of a server': () => optionTable(OPTIONS.filter(has('server')).filter(isPlain)),
    'options of connect()': () => optionTable(OPTIONS.filter(has('connect()'))),
    'options of listen()': () => optionTable(OPTIONS.filter(has('listen()'))),
    'options of close()': () => optionTable(OPTIONS.filter(has('close()'))),
    'options of request()': () => optionTable(OPTIONS.filter(has('request()'))),
    'options of send()': () => optionTable(OPTIONS.filter(has('send()'))),
    'options of call()': () => optionTable(OPTIONS.filter(has('call()'))),
    'options of metrics()': () => optionTable(OPTIONS.filter(has('metrics()'))),
    'options of a cluster': () => optionTable(OPTIONS.filter(has('cluster'))),
    limits: () => limitTable(OPTIONS.filter(isLimit)),
    figures: figureTable(FIGURES),
    'figures of a cluster': figureTable(CLUSTER_FIGURES),
    codes: codeTable,
  },
  'index.d.ts': {
    'options of client and server': members(isShared),
    'options of a client': members((option) => has('client')(option) && !isShared(option)),
    'options of a server': members((option) => has('server')(option) && !isShared(option)),
    'options of connect()': members(has('connect()')),
    'options of listen()': members(has('listen()')),
    'options of close()': members(has('close()')),
    'options of request()': members(has('request()')),
    'options of send()': members(has('send()')),
    'options of call()': members(has('call()')),
    'options of metrics()': members(has('metrics()')),
    'options of a cluster': members(has('cluster')),
    'options of an ObjectBuffer': members(has('ObjectBuffer')),
    figures: figureMembers(FIGURES),
    'figures of a cluster': figureMembers(CLUSTER_FIGURES),
    codes: codeUnion,
  },
};

const COMMENTS = {
  '.md': (text) => `<!-- ${text} -->`,
  '.ts': (text) => `// ${text}`,
};

/**
 * @param {string} file `API.md` or `index.d.ts`
 * @param {string} text of that file
 * @returns {string} the same, with its generated parts up to date
 * @throws {Error} for a part whose two lines are not there
 */
function withParts(file, text) {
  const asComment = COMMENTS[path.extname(file)];
  const lines = text.split('\n');
  for (const [name, write] of Object.entries(PARTS[file])) {
    const find = (line) => lines.findIndex((each) => each.trim() === asComment(line));
    const begin = find(`generated by "npm run reference": ${name}`);
    const end = find(`end of ${name}`);
    if (begin === -1 || end < begin) {
      throw new Error(`${file} has no generated part "${name}"`);
    }
    lines.splice(begin + 1, end - begin - 1, ...write());
  }
  return lines.join('\n');
}

function main(argv) {
  const stale = Object.keys(PARTS).filter((file) => {
    const where = path.join(ROOT, file);
    const text = fs.readFileSync(where, 'utf8');
    const fresh = withParts(file, text);
    if (fresh === text) return false;
    if (!argv.includes('--check')) fs.writeFileSync(where, fresh);
    return true;
  });
  if (!argv.includes('--check')) {
    console.log(stale.length > 0 ? `written: ${stale.join(', ')}` : 'up to date');
  } else if (stale.length > 0) {
    console.error(`out of date: ${stale.join(', ')}; write them with "npm run reference"`);
    process.exitCode = 1;
  }
}

if (require.main === module) main(process.argv.slice(2));

module.exports = { withParts };
