'use strict';

const { inspect } = require('node:util');

/** Marks that reorder the text around them. */
const BIDI = /\p{Bidi_Control}/gu;
/** Escape sequences of terminals begin with one of these. */
const CONTROL = /(?![\t\n])[\p{Cc}\p{Bidi_Control}]/gu;

const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** @returns {string} a text of a peer without characters that control a terminal */
const printable = (text) => String(text).replace(CONTROL, escaped);

/** Whether to use colors on a stream. */
const hasColors = (stream) => Boolean(stream.isTTY) && !process.env.NO_COLOR;

/**
 * @param {*} type the class name that a peer sent, which may be anything
 * @param {*} data
 * @returns {string} both, on as few lines as fit
 */
function showObject(type, data, stream = process.stdout) {
  const text = inspect(data, {
    colors: hasColors(stream),
    depth: 8,
    maxStringLength: 10_000,
    breakLength: stream.columns || 100,
  });
  const isPlain = type === data?.constructor?.name;
  // inspect() escapes the other control characters in strings and keys.
  const shown = text.replace(BIDI, escaped);
  return isPlain || typeof type !== 'string' ? shown : `${printable(type)} ${shown}`;
}

const BARS = '▁▂▃▄▅▆▇█';

/**
 * @param {number[]} values
 * @param {number} width how many of the last values are shown
 * @returns {string} a bar for each value, relative to the largest one
 */
function sparkline(values, width) {
  const shown = values.slice(-width);
  const most = Math.max(...shown, 0);
  const bar = (value) =>
    BARS[
      most === 0 ? 0 : Math.min(BARS.length - 1, Math.round((value / most) * (BARS.length - 1)))
    ];
  return shown.map(bar).join('');
}

const formatter = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });

/** @returns {string} `12,345.6` */
const formatNumber = (value) => formatter.format(value);

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** @returns {string} `1.5 MiB` */
function formatBytes(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${formatNumber(value)} ${UNITS[unit]}`;
}

/** Prints lines, as text or as JSON. */
class Printer {
  /** @param {boolean} asJson */
  constructor(asJson) {
    this.asJson = asJson;
    /** Called around the lines that are printed, by a prompt. */
    this.before = () => {};
    this.after = () => {};
  }

  /**
   * @param {object} event for scripts
   * @param {?string} text for people; null: nothing to show
   */
  print(event, text) {
    const line = this.asJson ? JSON.stringify(event) : text;
    if (line === null) return;
    this.before();
    process.stdout.write(`${line}\n`);
    this.after();
  }
}

module.exports = {
  Printer,
  formatBytes,
  formatNumber,
  hasColors,
  printable,
  showObject,
  sparkline,
};
