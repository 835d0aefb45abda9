const { FLOOR } = require('./measure.js');
const { number, transportNames } = require('./report.js');

/** Colours that stay apart for colour-blind readers and on a dark page (after Okabe and Ito). */
const colours = {
  native: '#d55e00',
  sockhop: '#0072b2',
  'sockhop-nodelay': '#56b4e9',
  ws: '#009e73',
  'node-ipc': '#cc79a7',
  zeromq: '#b8960c',
  [FLOOR]: '#888888',
};

const WIDTH = 860;
const FONT = 'font-family="system-ui, sans-serif" font-size="13"';

/** Absolute figures of one workload, one bar a peer, whiskers at the quartiles. */
function workloadPlot({ workload, transports }) {
  const left = 230;
  const right = 130;
  const entries = Object.entries(transports);
  const figures = entries.flatMap(([, list]) => list.map(({ figures }) => figures.value));
  const most = Math.max(...figures.map((value) => value?.q3 ?? 0), Number.MIN_VALUE);
  const least = Math.min(...figures.map((value) => value?.median || most));
  // Over a hundredfold a linear bar shows nothing of the small ones.
  const logarithmic = most / least > 100;
  const floor = 10 ** Math.floor(Math.log10(least));
  const scale = (value) => {
    const share = logarithmic ? Math.log(value / floor) / Math.log(most / floor) : value / most;
    return left + Math.max(0, share) * (WIDTH - left - right);
  };
  const parts = [];
  let y = 52;
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
  const better = `${workload.better} is better${logarithmic ? ', logarithmic' : ''}`;
  const title = `${workload.title} (${workload.unit}; ${better})`;
  return svg(title, y - 10, parts);
}

/** All workloads at a glance: ratios against the original, one mark a peer, logarithmic. */
function overviewPlot(results) {
  const left = 250;
  const right = 30;
  const rows = [];
  for (const { workload, transports } of results) {
    for (const [transport, entries] of Object.entries(transports)) {
      const marks = entries.filter(({ name, ratio }) => ratio !== null && name !== FLOOR);
      if (marks.some(({ name }) => name !== 'sockhop')) {
        rows.push({ title: `${workload.name}, ${transportNames[transport]}`, marks });
      }
    }
  }
  const ratios = rows.flatMap(({ marks }) => marks.map(({ ratio }) => ratio.median));
  const low = Math.min(0.5, ...ratios) / 1.15;
  const high = Math.max(2, ...ratios) * 1.15;
  const scale = (ratio) =>
    left + (Math.log(ratio / low) / Math.log(high / low)) * (WIDTH - left - right);
  const top = 84;
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
    // The package under test is drawn last, over the others.
    for (const { name, ratio } of [...marks].reverse()) {
      const size = name === 'native' ? 6.5 : 4.5;
      const x = scale(ratio.median).toFixed(1);
      parts.push(`<circle cx="${x}" cy="${y + 7}" r="${size}" fill="${colours[name]}"/>`);
    }
    y += 22;
  }
  let x = left;
  const known = new Map(rows.flatMap(({ marks }) => marks.map(({ name, label }) => [name, label])));
  for (const name of Object.keys(colours).filter((name) => known.has(name))) {
    const text = name === 'sockhop-nodelay' ? 'noDelay by hand' : known.get(name);
    parts.push(`<circle cx="${x + 5}" cy="54" r="5" fill="${colours[name]}"/>`);
    parts.push(label(x + 15, 58, text));
    x += 28 + text.length * 7;
  }
  const title = 'How many times as good as sockhop 1.8.4 (to the right is better, logarithmic)';
  return svg(title, bottom + 34, parts);
}

/** 1, 2, 5, 10, ... that lie on the axis; only powers of ten when there are many. */
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

function svg(title, height, parts) {
  // The page behind may be dark or light, so the picture brings both.
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
      `width="${WIDTH}" height="${height}" color="#222222" fill="currentColor" ${FONT}>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    label(20, 26, title, 'font-weight="600" font-size="14"'),
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
