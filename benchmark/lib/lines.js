const LEFT = 70;
const WIDTH = 760;
const RIGHT = 30;
const HEIGHT = 170;
const GAP = 52;
const TOP = 84;
/** The share of a panel that stays empty above the highest value. */
const HEADROOM = 0.15;
/** Colours that colour-blind readers can distinguish (after Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];

/**
 * Draws values over time: one panel for each kind of value, one line for each process.
 *
 * @param {object} plot
 * @param {string} plot.title
 * @param {string} plot.origin the machine and the date of the measurement
 * @param {{role: string, samples: object[]}[]} plot.series samples with `at` and the values
 * @param {[string, string][]} plot.panels the name of each value, and the title of its panel
 * @param {number} plot.end the end of the horizontal axis
 * @param {string} plot.unit the unit of the horizontal axis
 * @returns {string} SVG
 */
function linePlot({ title, origin, series, panels, end, unit }) {
  const parts = [
    label(LEFT, 24, title, 'font-size="15" font-weight="600"'),
    label(LEFT, 43, origin, 'font-size="11" fill="#555"'),
    ...legend(series),
  ];
  panels.forEach(([name, heading], row) => {
    const top = TOP + row * (HEIGHT + GAP) + 20;
    parts.push(...panel({ name, heading, top, series, end }));
  });
  const bottom = TOP + panels.length * (HEIGHT + GAP) + 10;
  parts.push(
    label(LEFT, bottom, `0 ${unit}`),
    label(LEFT + WIDTH, bottom, `${count(end)} ${unit}`, 'text-anchor="end"'),
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + RIGHT}" height="${bottom + 16}" ` +
    `font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${parts.join('')}</svg>\n`
  );
}

function panel({ name, heading, top, series, end }) {
  const values = series.flatMap(({ samples }) => samples.map((sample) => sample[name] ?? 0));
  const most = roundUp(Math.max(1, ...values) / (1 - HEADROOM));
  const parts = [
    label(LEFT, top - 8, heading, 'font-weight="600"'),
    `<rect x="${LEFT}" y="${top}" width="${WIDTH}" height="${HEIGHT}" fill="none" stroke="#999"/>`,
  ];
  for (const share of [0, 0.5, 1]) {
    const y = top + HEIGHT * (1 - share);
    parts.push(label(LEFT - 6, y + 4, count(most * share), 'text-anchor="end"'));
    if (share === 0.5) {
      parts.push(`<line x1="${LEFT}" x2="${LEFT + WIDTH}" y1="${y}" y2="${y}" stroke="#ddd"/>`);
    }
  }
  series.forEach(({ samples }, index) => {
    const points = samples.map(({ at, [name]: value }) => {
      const x = LEFT + (at / end) * WIDTH;
      const y = top + HEIGHT * (1 - (value ?? 0) / most);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    });
    const colour = COLOURS[index % COLOURS.length];
    parts.push(`<polyline points="${points.join(' ')}" fill="none" stroke="${colour}"/>`);
  });
  return parts;
}

function legend(series) {
  return series.flatMap(({ role }, index) => {
    const x = LEFT + 140 * index;
    const colour = COLOURS[index % COLOURS.length];
    return [
      `<line x1="${x}" x2="${x + 22}" y1="64" y2="64" stroke="${colour}" stroke-width="2.5"/>`,
      label(x + 28, 68, role),
    ];
  });
}

/** The next number whose half has few digits: 1, 2, 4, 6, 8, 10, 20, ... */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const [step] = [1, 2, 4, 6, 8, 10].filter((each) => each * power >= value);
  return step * power;
}

const count = (value) => value.toLocaleString('en', { maximumFractionDigits: 1 });

function label(x, y, text, attributes = '') {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x}" y="${y}" ${attributes}>${escaped}</text>`;
}

module.exports = { linePlot };
