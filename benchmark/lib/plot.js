const { describeMachine } = require('./machine.js');
const { FLOOR } = require('./measure.js');
const { number, transportNames } = require('./report.js');

/** Colours that colour-blind readers can distinguish, also on a dark page (after Okabe and Ito). */
const colours = {
  native: '#d55e00',
  sockhop: '#0072b2',
  'sockhop-nodelay': '#56b4e9',
  ws: '#009e73',
  'node-ipc': '#cc79a7',
  zeromq: '#b8960c',
  msgpackr: '#5b3fa8',
  [FLOOR]: '#888888',
};

const WIDTH = 920;
const FONT = 'font-family="system-ui, sans-serif" font-size="13"';

/** The values of one workload: one bar for each peer, with whiskers at the quartiles. */
function workloadPlot({ workload, transports, machine, date }) {
  const left = 260;
  const right = 130;
  const entries = Object.entries(transports);
  const figures = entries.flatMap(([, list]) => list.map(({ figures }) => figures.value));
  const most = Math.max(...figures.map((value) => value?.q3 ?? 0), Number.MIN_VALUE);
  const least = Math.min(...figures.map((value) => value?.median || most));
  // On a linear scale, values that differ by more than a factor of 100 have invisible bars.
  const logarithmic = most / least > 100;
  const floor = 10 ** Math.floor(Math.log10(least));
  const scale = (value) => {
    const share = logarithmic ? Math.log(value / floor) / Math.log(most / floor) : value / most;
    return left + Math.max(0, share) * (WIDTH - left - right);
  };
  const parts = [];
  let y = 84;
  for (const [transport, list] of entries) {
    parts.push(label(20, y, transportNames[transport], 'font-weight="600"'));
    y += 12;
    for (const { name, label: text, figures, problem } of list) {
      const { value } = figures;
      parts.push(label(left - 8, y + 15, text, 'text-anchor="end"'));
      if (value === null) {
        parts.push(label(left + 4, y + 15, problem ? 'not measured' : '', 'opacity="0.6"'));
      } else {
        const end = scale(value.median);
        parts.push(bar(left, y + 2, end - left, 17, colours[name]));
        parts.push(whisker(scale(value.q1), scale(value.q3), y + 10.5));
        parts.push(label(Math.max(end, scale(value.q3)) + 6, y + 15, number(value.median)));
      }
      y += 23;
    }
    y += 26;
  }
  const scaling = logarithmic ? ', logarithmic scale' : '';
  return svg({
    title: workload.title,
    notes: [
      `${workload.unit}; ${workload.better} is better; median and quartiles${scaling}`,
      `${describeMachine(machine)}, ${date}`,
    ],
    height: y - 10,
    parts,
  });
}

/** All workloads: the ratio of each peer to the original as a mark on a logarithmic scale. */
function overviewPlot(results) {
  const left = 470;
  const right = 30;
  const rows = overviewRows(results);
  const ratios = rows.flatMap(({ marks }) => marks.map(({ ratio }) => ratio.median));
  const low = Math.min(0.5, ...ratios) / 1.15;
  const high = Math.max(2, ...ratios) * 1.15;
  const width = WIDTH + 120;
  const scale = (ratio) =>
    left + (Math.log(ratio / low) / Math.log(high / low)) * (width - left - right);
  const top = 118;
  const bottom = top + rows.length * 22;
  const parts = [];
  for (const tick of ticks(low, high)) {
    const x = scale(tick).toFixed(1);
    const style = tick === 1 ? 'stroke-width="1.5"' : 'opacity="0.25"';
    parts.push(
      `<line x1="${x}" x2="${x}" y1="${top - 8}" y2="${bottom}" stroke="currentColor" ${style}/>`,
      label(x, bottom + 18, `${tick} x`, 'text-anchor="middle"'),
    );
  }
  let y = top;
  for (const { title, marks } of rows) {
    parts.push(label(left - 12, y + 11, title, 'text-anchor="end"'));
    // The mark of the measured package is drawn last, so that no other mark covers it.
    for (const { name, ratio } of [...marks].reverse()) {
      const size = name === 'native' ? 6.5 : 4.5;
      const x = scale(ratio.median).toFixed(1);
      parts.push(`<circle cx="${x}" cy="${y + 7}" r="${size}" fill="${colours[name]}"/>`);
    }
    y += 22;
  }
  let x = 20;
  const known = new Map(rows.flatMap(({ marks }) => marks.map(({ name, label }) => [name, label])));
  for (const name of Object.keys(colours).filter((name) => known.has(name))) {
    parts.push(`<circle cx="${x + 5}" cy="86" r="5" fill="${colours[name]}"/>`);
    parts.push(label(x + 15, 90, known.get(name)));
    x += 40 + known.get(name).length * 7;
  }
  return svg({
    title: 'Performance relative to sockhop 1.8.4',
    notes: [
      'median of the ratios of all rounds; to the right of 1 is better than sockhop 1.8.4; logarithmic scale',
      [...new Set(results.map(({ machine, date }) => `${describeMachine(machine)}, ${date}`))].join(
        '; ',
      ),
    ],
    width,
    height: bottom + 34,
    parts,
  });
}

function overviewRows(results) {
  const rows = [];
  for (const { workload, transports } of results) {
    for (const [transport, entries] of Object.entries(transports)) {
      const marks = entries.filter(({ name, ratio }) => ratio !== null && name !== FLOOR);
      if (marks.some(({ name }) => name !== 'sockhop')) {
        rows.push({ title: `${workload.title}, ${transportNames[transport]}`, marks });
      }
    }
  }
  return rows;
}

/** The values 1, 2, 5, 10, ... on the axis; only powers of ten on a long axis. */
function ticks(low, high) {
  const steps = high / low > 200 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = -3; power <= 6; power++) {
    for (const step of steps) {
      const tick = Number((step * 10 ** power).toPrecision(3));
      if (tick >= low && tick <= high) {
        found.push(tick);
      }
    }
  }
  return found;
}

function svg({ title, notes, width = WIDTH, height, parts }) {
  // The page may be dark or light, so the picture has its own background and text colour.
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
      `width="${width}" height="${height}" color="#222222" fill="currentColor" ${FONT}>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    label(20, 26, title, 'font-weight="600" font-size="14"'),
    ...notes.map((note, i) => label(20, 44 + 16 * i, note, 'font-size="11" fill="#555555"')),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function bar(x, y, width, height, colour) {
  const shown = Math.max(1, width).toFixed(1);
  return `<rect x="${x}" y="${y}" width="${shown}" height="${height}" fill="${colour}"/>`;
}

function whisker(from, to, y) {
  const [a, b] = [from.toFixed(1), to.toFixed(1)];
  return `<path d="M${a} ${y - 4}v8m0 -4H${b}m0 -4v8" stroke="#222222" fill="none"/>`;
}

function label(x, y, text, attributes = '') {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" ${attributes}>${escaped}</text>`;
}

module.exports = { overviewPlot, workloadPlot };
