const fs = require('node:fs');
const path = require('node:path');

/**
 * The table in the README of the package: three workloads over TCP. It is between two comments, and
 * is written again with the results.
 */

const README = path.join(__dirname, '..', '..', 'README.md');
const BEGIN = '<!-- benchmark: written by npm run bench -->';
const END = '<!-- end of benchmark -->';

const ROWS = [
  ['oneway-record', 'records of 120 bytes in one direction, messages per second'],
  ['callbacks-record', 'callbacks with records, 100 at a time, calls per second'],
  ['object-64m', 'one object of 64 MB, milliseconds'],
];

const rounded = (value) => Number(value.toPrecision(3)).toLocaleString('en');
const ratioText = (ratio) => `${Number(ratio.toPrecision(ratio < 100 ? 2 : 3))} x`;

function entriesOf(results, name) {
  const entries = results.find(({ workload }) => workload.name === name)?.transports.tcp ?? [];
  return Object.fromEntries(entries.map((entry) => [entry.name, entry]));
}

/** @returns {string} the lines between the two comments, from stored results */
function readmeTable(results) {
  const cores = results[0].machine.cores;
  const lines = [
    `| over TCP, on a machine with ${cores} processors | sockhop-native | sockhop 1.8.4 | |`,
    '| --- | ---: | ---: | ---: |',
  ];
  for (const [name, title] of ROWS) {
    const { native, sockhop } = entriesOf(results, name);
    if (!native?.ratio || !sockhop?.figures.value) continue;
    const values = [native, sockhop].map(({ figures }) => rounded(figures.value.median));
    lines.push(`| ${title} | ${values.join(' | ')} | ${ratioText(native.ratio.median)} |`);
  }
  const { native, 'sockhop-nodelay': nodelay } = entriesOf(results, 'callbacks-record');
  if (native?.ratio && nodelay?.ratio) {
    const left = native.ratio.median / nodelay.ratio.median;
    lines.push(
      '',
      'If the program calls `setNoDelay(true)` on its sockets, the original makes ' +
        `${rounded(nodelay.figures.value.median)} calls per second. This package makes`,
      `${ratioText(left)} as many.`,
    );
  }
  return lines.join('\n');
}

/** Writes the table into the README. */
function updateReadme(results) {
  const before = fs.readFileSync(README, 'utf8');
  const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${README} has no place for the table`);
  const table = `${BEGIN}\n\n${readmeTable(results)}\n\n`;
  fs.writeFileSync(README, before.slice(0, begin) + table + before.slice(end));
}

module.exports = { updateReadme };
