const { describeMachine } = require('./machine.js');
const { FLOOR } = require('./measure.js');

/** A number with three or four significant digits and separated thousands. */
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
  const header = [
    '',
    unit,
    'quartiles',
    'relative to sockhop 1.8.4',
    ...columns.map(({ label }) => label),
  ];
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

/** A reason instead of figures must not widen a column. */
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

/** The page of all stored results. */
function markdown(results) {
  const parts = [
    '# Benchmark results',
    '',
    'Written by `npm run bench`. [The benchmark](../README.md) describes the workloads and the method.',
    'All peers took turns in one run. Values are medians of the rounds. A ratio compares two peers in the',
    'same round; more than 1 is better than sockhop 1.8.4. CPU time is that of all threads of the process,',
    'divided by the number of messages (calls, connections, objects).',
    '',
    '![Performance of sockhop-native and its peers relative to sockhop 1.8.4](overview.svg)',
  ];
  let described = '';
  for (const { workload, transports, machine, rounds, ms, date } of results) {
    parts.push('', `## ${workload.title} (\`${workload.name}\`)`, '');
    const description = describeMachine(machine);
    // Only written where it differs from that of the previous workload.
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
