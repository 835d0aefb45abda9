const { linePlot } = require('./lines.js');

const MEMORY = [
  ['rss', 'resident memory, MiB'],
  ['heap', 'JavaScript heap, MiB'],
];
const DESCRIPTORS = ['descriptors', 'open descriptors'];

const originOf = ({ date, machine }) => [machine, date].filter(Boolean).join(', ');
const seriesOf = ({ samples }) =>
  Object.entries(samples).map(([role, samples]) => ({ role: role.replace('-', ' '), samples }));

/** The resources of both processes of `npm run bench:memory`. */
function cyclesPlot(result) {
  return linePlot({
    title: `Resources while ${result.cycles.toLocaleString('en')} connections are opened and closed`,
    origin: originOf(result),
    series: seriesOf(result),
    panels: [
      ...MEMORY,
      DESCRIPTORS,
      ['handles', 'libuv handles that keep the process alive'],
      ['threads', 'threads'],
    ],
    end: result.cycles,
    unit: 'connections',
  });
}

/** The resources of all processes of `npm run soak`. */
function soakPlot(result) {
  const series = seriesOf(result);
  const { minutes, clients } = result;
  return linePlot({
    title: `Resources during ${minutes} ${minutes === 1 ? 'minute' : 'minutes'} of mixed load by ${clients} clients`,
    origin: originOf(result),
    series,
    panels: [...MEMORY, DESCRIPTORS],
    end: Math.max(...series.flatMap(({ samples }) => samples.map(({ at }) => at))),
    unit: 's',
  });
}

module.exports = { cyclesPlot, soakPlot };
