const { describeMachine } = require('../lib/machine.js');

const WIDTH = 920;
const LEFT = 260;
const RIGHT = 130;
const ROW = 23;
const COLOURS = { native: '#d55e00', socketio: '#0072b2' };

const text = (x, y, content, more = '') =>
  `<text x="${x}" y="${y}" fill="currentColor" ${more}>${content}</text>`;

/** A bar for each peer, under a title. */
function bars(peers, key, top, title) {
  const shown = peers.filter(({ figures }) => figures[key] !== undefined);
  const most = Math.max(...shown.map(({ figures }) => figures[key]));
  const parts = [text(20, top, title, 'font-weight="600"')];
  shown.forEach(({ name, label, figures }, row) => {
    const y = top + 12 + row * ROW;
    const width = (figures[key] / most) * (WIDTH - LEFT - RIGHT);
    const colour = COLOURS[name.split('-')[0]];
    parts.push(
      text(LEFT - 8, y + 15, label, 'text-anchor="end"'),
      `<rect x="${LEFT}" y="${y + 2}" width="${width.toFixed(1)}" height="17" fill="${colour}"/>`,
      text(LEFT + width + 6, y + 15, Math.round(figures[key]).toLocaleString('en')),
    );
  });
  return { parts, bottom: top + 12 + shown.length * ROW };
}

/** The figures of a run of the benchmark, as an SVG. */
function clusterPlot({ workload, machine, date, peers }) {
  const { nodes, clients, bytes } = workload;
  const parts = [
    text(20, 28, 'Messages to all clients of several servers', 'font-size="16" font-weight="600"'),
    text(
      20,
      48,
      `${clients.toLocaleString('en')} clients at ${nodes} processes, or at one; ${bytes} bytes; median of the rounds`,
    ),
    text(20, 66, `${describeMachine(machine)}, ${date}`),
  ];
  let top = 100;
  for (const [key, title] of [
    ['rate', 'Broadcasts a second; higher is better'],
    [
      'process',
      'Processor time of all servers for each broadcast, in microseconds; lower is better',
    ],
    [
      'thread',
      'JavaScript thread of a receiving server for each, in microseconds; lower is better',
    ],
  ]) {
    const group = bars(peers, key, top, title);
    parts.push(...group.parts);
    top = group.bottom + 32;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="system-ui, sans-serif" font-size="13" color="#444">\n${parts.join('\n')}\n</svg>\n`;
}

module.exports = { clusterPlot };
