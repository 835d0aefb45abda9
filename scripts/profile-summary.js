'use strict';

// Turns the recordings of scripts/profile.js into text.

const path = require('node:path');
const { fileURLToPath } = require('node:url');

const percent = (part, whole) => `${((100 * part) / whole).toFixed(1).padStart(5)} %`;

/** A path as a reader of this repository knows it. */
function place(url, root) {
  const file = url.startsWith('file:') ? fileURLToPath(url) : url;
  const relative = path.relative(root, file);
  return file.startsWith('/') && !relative.startsWith('..') ? relative : file;
}

/** The lines of a table, the largest part first. */
function table(rows, whole, top) {
  return rows
    .sort((a, b) => b.amount - a.amount)
    .slice(0, top)
    .map(({ amount, name }) => `  ${percent(amount, whole)}  ${name}`);
}

/** Entries of a profile of V8 that are no functions. */
const PSEUDO = {
  '(program)': '(native code of the binding, of Node, and of the kernel)',
  '(garbage collector)': '(garbage collector)',
  '(root)': '(root)',
};

/**
 * @param {object} profile a .cpuprofile of V8
 * @param {{root: string, top: number}} options the directory that paths are relative to, and the
 *   number of functions
 * @returns {string}
 */
function summarizeCpuProfile({ nodes, samples, timeDeltas }, { root, top }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const amounts = new Map();
  let idle = 0;
  let busy = 0;
  samples.forEach((id, index) => {
    const { functionName, url, lineNumber } = byId.get(id).callFrame;
    const time = timeDeltas[index];
    if (functionName === '(idle)') {
      idle += time;
      return;
    }
    busy += time;
    const name = PSEUDO[functionName] ?? (functionName || '(anonymous)');
    const label = url ? `${name}  ${place(url, root)}:${lineNumber + 1}` : name;
    amounts.set(label, (amounts.get(label) ?? 0) + time);
  });
  const rows = [...amounts].map(([name, amount]) => ({ name, amount }));
  return [
    `JavaScript thread, by --cpu-prof: ${(busy / 1e6).toFixed(2)} s busy, ${(idle / 1e6).toFixed(2)} s idle, with its start`,
    'Share of the busy time that is spent in a function itself, without the functions that it calls',
    ...table(rows, busy, top),
    '',
  ].join('\n');
}

const AREAS = {
  javascript: 'JavaScript',
  binding: 'Native binding (Rust)',
  node: 'Node and V8',
  kernel: 'Kernel',
  libraries: 'System libraries',
};

/** The part of the process that an object file belongs to. */
function areaOf(object) {
  if (object.startsWith('[JIT]') || /^perf-\d+\.map$/.test(object)) return 'javascript';
  if (/^sockhop-native.*\.node$/.test(object)) return 'binding';
  if (object === path.basename(process.execPath) || object.startsWith('libnode')) return 'node';
  if (object.startsWith('[kernel') || object.startsWith('[guest')) return 'kernel';
  return object.endsWith('.ko') ? 'kernel' : 'libraries';
}

/** `JS:*receive file:///.../message-channel.js:3:1`, as V8 names a compiled function. */
function scriptSymbol(symbol, root) {
  const [, name, url] = /^\w+:[*^~+]*(\S*) (.+)$/.exec(symbol) ?? [];
  if (url === undefined) return symbol;
  return `${name || '(anonymous)'}  ${place(url.replace(/:\d+$/, ''), root)}`;
}

/** Lines of `perf report`: a percentage, and the fields to which it belongs. */
const parse = (report) =>
  report
    .split('\n')
    .map((line) => line.split('\t').map((field) => field.trim()))
    .map(([share, ...fields]) => ({ amount: Number.parseFloat(share), fields }))
    .filter(({ amount }) => amount > 0);

/**
 * @param {string} report of perf by object file and symbol, with tabs between the fields
 * @param {string} threads the same by thread
 * @param {{root: string, top: number}} options
 * @returns {string}
 */
function summarizePerf(report, threads, { root, top }) {
  const areas = new Map(Object.keys(AREAS).map((area) => [area, []]));
  for (const { amount, fields } of parse(report)) {
    const [object, text = ''] = fields;
    const area = areaOf(object);
    const symbol = text.replace(/^\[[.k]\] /, '');
    const name = area === 'javascript' ? scriptSymbol(symbol, root) : symbol;
    areas.get(area).push({ amount, name: area === 'libraries' ? `${name}  ${object}` : name });
  }
  const total = (rows) => rows.reduce((sum, { amount }) => sum + amount, 0);
  const lines = [
    'All threads, by perf. Share of the time of all processors',
    ...[...areas].map(([area, rows]) => `  ${percent(total(rows), 100)}  ${AREAS[area]}`),
    '',
    'By thread',
    ...table(
      parse(threads).map(({ amount, fields: [name] }) => ({ amount, name })),
      100,
      top,
    ),
    '',
  ];
  if (total(areas.get('kernel')) === 0) {
    lines.push(
      'The kernel is not visible: "sysctl kernel.perf_event_paranoid=1" (as root) shows it.',
      '',
    );
  }
  for (const [area, rows] of areas) {
    if (rows.length > 0) lines.push(AREAS[area], ...table(rows, 100, top), '');
  }
  return lines.join('\n');
}

module.exports = { summarizeCpuProfile, summarizePerf };
