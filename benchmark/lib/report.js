const { FLOOR } = require('./measure.js');

/** Figures with three or four digits that mean something, thousands set apart. */
function number(value, digits) {
  if (value === null || value === undefined) {
    return '';
  }
  const places = digits ?? (value >= 100 ? 0 : value >= 10 ? 1 : 2);
  return value.toLocaleString('en', {
    minimumFractionDigits: places,
    maximumFractionDigits: places,
  });
}

function ratioOf({ name, ratio }) {
  if (ratio === null) {
    return '';
  }
  const text = `${number(ratio.median)} x`;
  const spread = ` (${number(ratio.q1)} - ${number(ratio.q3)})`;
  return name === 'sockhop' ? '1 x' : text + spread;
}

function rowsOf({ unit, columns }, entries) {
  const header = ['', unit, 'quartiles', 'against sockhop', ...columns.map(({ label }) => label)];
  const rows = entries.map((entry) => {
    const { value } = entry.figures;
    if (value === null) {
      return [entry.label, `none: ${entry.problem}`];
    }
    return [
      entry.problem === null ? entry.label : `${entry.label} (${value.n} rounds, then it failed)`,
      number(value.median),
      `${number(value.q1)} - ${number(value.q3)}`,
      ratioOf(entry),
      ...columns.map(({ key, digits }) => number(entry.figures[key]?.median, digits)),
    ];
  });
  return [header, ...rows];
}

/** The table of one workload over one transport, for a terminal. */
function textTable(workload, entries) {
  const rows = rowsOf(workload, entries);
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => shortCell(row, i).length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** An explanation in place of figures must not widen a column. */
function shortCell(row, i) {
  return row.length === 2 && i === 1 ? '' : (row[i] ?? '');
}

function markdownTable(workload, entries) {
  const [header, ...rows] = rowsOf(workload, entries);
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = header.map((_, i) => (i === 0 ? '---' : '---:'));
  return [line(header), line(rule), ...rows.map((row) => line(pad(row, header.length)))].join('\n');
}

function pad(row, length) {
  return [...row, ...Array(length - row.length).fill('')];
}

const transportNames = { tcp: 'TCP', unix: 'Unix socket' };

/** The page of all results there are. */
function markdown(results) {
  const parts = [
    '# Benchmark results',
    '',
    'Written by `npm run bench`; see [the benchmark](../README.md) for what is measured and how.',
    'All peers were taken in turn in one run. Figures are medians of the rounds; a ratio is taken',
    'round by round, more than 1 is better than sockhop 1.8.4. CPU time is that of the whole',
    'process, all threads, for one message (call, connection, object).',
    '',
    '![What sockhop-native and its peers reach, against sockhop 1.8.4](overview.svg)',
  ];
  let described = '';
  for (const { workload, transports, machine, rounds, ms, date } of results) {
    parts.push('', `## ${workload.name}: ${workload.title}`, '');
    const description =
      `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, ` +
      `Node ${machine.node}`;
    // The machine is told where it changes.
    if (description !== described) {
      parts.push(`Machine: ${description}.`, '');
      described = description;
    }
    parts.push(`${date}, ${rounds} rounds${workload.timed ? ` of ${ms} ms` : ''}.`);
    for (const [transport, entries] of Object.entries(transports)) {
      parts.push('', `${transportNames[transport]}:`, '', markdownTable(workload, entries));
    }
    parts.push('', `![${workload.title}](${workload.name}.svg)`);
  }
  return `${parts.join('\n')}\n`;
}

module.exports = { FLOOR, markdown, number, textTable, transportNames };
