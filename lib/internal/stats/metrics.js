'use strict';

/*
 * The figures of clients and servers in the text format of OpenMetrics 1.0, which Prometheus
 * scrapes. Each figure of stats() is a metric family, except that the ages of callbacks are one
 * histogram.
 */

const { kFigures, kTarget } = require('../symbols.js');
const { AGES } = require('./callback-ages.js');
const { CLUSTER_FIGURES, FIGURES } = require('./figures.js');

const PREFIX = 'sockhop_';

/** Figures whose family has a name of its own: the unit comes last in OpenMetrics. */
const FAMILY_NAMES = { bytes_received: 'received_bytes', bytes_sent: 'sent_bytes' };

/** Figures that are buckets of the histogram of ages. */
const AGE_FIGURES = new Set(AGES.map(({ figure }) => figure));

const escaped = (text) => text.replace(/[\\\n"]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

/** @returns {string} `{name="value",...}` */
function labelText(labels) {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return `{${pairs.join(',')}}`;
}

/**
 * A metric family: its name, its lines of description, and its samples for one source.
 *
 * @typedef {object} Family
 * @property {string} name
 * @property {'counter'|'gauge'|'gaugehistogram'|'info'} type
 * @property {?string} unit
 * @property {string} help
 * @property {function(object, object): string[]} samples from the figures and labels of a source
 */

const sample = (name, labels, value) => `${name}${labelText(labels)} ${value}`;

/** @returns {Family} */
function familyOf(figure, { meaning, kind, declared }) {
  const base = FAMILY_NAMES[figure] ?? figure;
  // A family has no sample where the figure is null.
  const help = `${meaning.replace(/\. `null`.*/, '').replaceAll('`', '')}.`;
  if (kind === 'text') {
    const name = `${PREFIX}${base}`;
    const samples = (figures, labels) =>
      figures[figure] === null
        ? []
        : [sample(`${name}_info`, { ...labels, code: figures[figure] }, 1)];
    return { name, type: 'info', unit: null, help, samples };
  }
  const isTime = declared !== undefined;
  const unit = isTime ? 'seconds' : base.endsWith('_bytes') ? 'bytes' : null;
  const name = `${PREFIX}${base}${isTime ? '_seconds' : ''}`;
  const sampleName = kind === 'counter' ? `${name}_total` : name;
  const samples = (figures, labels) => {
    const value = figures[figure];
    return value === null ? [] : [sample(sampleName, labels, isTime ? value / 1000 : value)];
  };
  const text = isTime ? help.replace(', in milliseconds', '') : help;
  return { name, type: kind, unit, help: text, samples };
}

/** The ages of the callbacks that wait now. @type {Family} */
const AGE_FAMILY = {
  name: `${PREFIX}callback_age_seconds`,
  type: 'gaugehistogram',
  unit: 'seconds',
  help: 'Callbacks that wait for an answer now, by the time that they have waited.',
  samples(figures, labels) {
    const all = figures.pending_callbacks;
    const bucket = (le, value) => sample(`${this.name}_bucket`, { ...labels, le }, value);
    return [
      ...AGES.map(({ figure, seconds }) => bucket(seconds.toFixed(1), all - figures[figure])),
      bucket('+Inf', all),
    ];
  },
};

/** @returns {Family} of a figure of `stats().cluster`, for the sources that are in a cluster */
function clusterFamilyOf([figure, description]) {
  const { samples, ...family } = familyOf(`cluster_${figure}`, description);
  return {
    ...family,
    samples: ({ cluster }, labels) =>
      cluster === undefined ? [] : samples({ [`cluster_${figure}`]: cluster[figure] }, labels),
  };
}

/** @type {Family[]} */
const FAMILIES = [
  ...Object.entries(FIGURES)
    .filter(([figure]) => !AGE_FIGURES.has(figure))
    .map(([figure, description]) => familyOf(figure, description)),
  AGE_FAMILY,
  ...Object.entries(CLUSTER_FIGURES).map(clusterFamilyOf),
];

/** @returns {object} the figures of two sources with the same labels as one source */
function join(one, other) {
  const joined = { ...other, ...one };
  for (const [figure, { kind, declared }] of Object.entries(FIGURES)) {
    const value = other[figure];
    if (value === null) continue;
    if (kind === 'text' || one[figure] === null) joined[figure] = value;
    else if (declared === undefined) joined[figure] += value;
    else joined[figure] = Math.max(one[figure], value);
  }
  return joined;
}

/**
 * @param {SockhopClient|SockhopServer} first
 * @param {{labels: object, others: object[]}} options as checked
 * @returns {string} OpenMetrics text, with its end
 */
function openMetrics(first, { labels, others }) {
  /** The figures by their labels: clients of one endpoint are one source. */
  const sources = new Map();
  for (const member of new Set([first, ...others].map((each) => each[kTarget] ?? each))) {
    const { role, endpoint, figures } = member[kFigures]();
    const key = `${role} ${endpoint}`;
    const before = sources.get(key);
    sources.set(key, {
      labels: { role, endpoint: String(endpoint), ...labels },
      figures: before ? join(before.figures, figures) : figures,
    });
  }
  const lines = [];
  for (const family of FAMILIES) {
    const samples = [...sources.values()].flatMap((each) =>
      family.samples(each.figures, each.labels),
    );
    if (samples.length === 0) continue;
    const { name, type, unit, help } = family;
    lines.push(`# TYPE ${name} ${type}`);
    if (unit !== null) lines.push(`# UNIT ${name} ${unit}`);
    lines.push(`# HELP ${name} ${escaped(help)}`, ...samples);
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

module.exports = { openMetrics };
