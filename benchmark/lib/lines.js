const WIDTH = 800;
const HEIGHT = 240;
const GAP = 40;
const LEFT = 60;
/** Colours that stay apart for colour-blind readers (after Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7'];

/**
 * Figures as they go on, a panel each, a line for each process.
 *
 * @param {object} plot
 * @param {{role: string, samples: object[]}[]} plot.series samples with `at` and the figures
 * @param {[string, string][]} plot.panels figures, and what they are
 * @param {number} plot.end where the axis ends
 * @param {string} plot.unit of the axis
 * @returns {string} SVG
 */
function linePlot({ series, panels, end, unit }) {
  const parts = [];
  const text = (x, y, content, attributes = '') =>
    parts.push(`<text x="${x}" y="${y}" ${attributes}>${content}</text>`);
  panels.forEach(([name, title], row) => {
    const top = row * (HEIGHT + GAP) + 30;
    const figures = series.flatMap(({ samples }) => samples.map((sample) => sample[name] ?? 0));
    const most = Math.max(1, ...figures);
    text(LEFT, top - 8, title);
    parts.push(
      `<rect x="${LEFT}" y="${top}" width="${WIDTH}" height="${HEIGHT}" fill="none" stroke="#999"/>`,
    );
    text(LEFT - 5, top + 10, Math.round(most), 'text-anchor="end"');
    text(LEFT - 5, top + HEIGHT, 0, 'text-anchor="end"');
    series.forEach(({ role, samples }, index) => {
      const points = samples.map(({ at, [name]: value }) => {
        const x = LEFT + (at / end) * WIDTH;
        const y = top + HEIGHT - ((value ?? 0) / most) * HEIGHT;
        return `${x.toFixed(1)},${y.toFixed(1)}`;
      });
      const colour = COLOURS[index % COLOURS.length];
      parts.push(`<polyline points="${points.join(' ')}" fill="none" stroke="${colour}"/>`);
      if (row === 0) text(LEFT + 200 + 120 * index, top - 8, role, `fill="${colour}"`);
    });
  });
  const bottom = panels.length * (HEIGHT + GAP) + 10;
  text(LEFT, bottom, `0 ${unit}`);
  text(
    LEFT + WIDTH,
    bottom,
    `${Math.round(end).toLocaleString('en')} ${unit}`,
    'text-anchor="end"',
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH + 80}" height="${bottom + 20}" ` +
    `font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${parts.join('')}</svg>\n`
  );
}

module.exports = { linePlot };
