'use strict';

const http = require('node:http');
const https = require('node:https');

/** A longer text is not that of `metrics()`. */
const MAX_LENGTH = 16 * 1024 * 1024;

/**
 * @param {URL} url
 * @param {{timeout: number, signal: AbortSignal}} how `timeout` in ms
 * @returns {Promise<string>} the text behind a URL
 */
function fetchText(url, { timeout, signal }) {
  const { get } = url.protocol === 'https:' ? https : http;
  const headers = { Accept: 'application/openmetrics-text; version=1.0.0' };
  return new Promise((resolve, reject) => {
    const request = get(url, { headers, timeout, signal }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        reject(new Error(`the answer is ${response.statusCode} ${response.statusMessage}`));
        return;
      }
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
        if (text.length > MAX_LENGTH) request.destroy(new Error('the answer is too long'));
      });
      response.on('end', () => resolve(text));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeout} ms`)));
    request.on('error', reject);
  });
}

const SAMPLE = /^(sockhop_\w+)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:\\.|[^"\\])*)"/g;

const unescaped = (text) => text.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));

/**
 * A client or server whose figures are in a text of OpenMetrics.
 *
 * @typedef {object} Source
 * @property {string} name its role and endpoint
 * @property {Map<string, number>} values by the names of samples
 */

/**
 * @param {string} text of `metrics()`
 * @returns {Map<string, Source>} by their labels
 */
function parseMetrics(text) {
  const sources = new Map();
  for (const line of text.split('\n')) {
    const [, sample, labelText = '', value] = line.match(SAMPLE) ?? [];
    // Buckets and codes have further labels, and are not shown.
    if (sample === undefined || /_(bucket|info)$/.test(sample)) continue;
    const labels = Object.fromEntries(
      Array.from(labelText.matchAll(LABEL), ([, name, raw]) => [name, unescaped(raw)]),
    );
    const { role = 'unknown', endpoint = '' } = labels;
    if (!sources.has(labelText)) {
      sources.set(labelText, { role, endpoint, values: new Map() });
    }
    sources.get(labelText).values.set(sample, Number(value));
  }
  return sources;
}

module.exports = { fetchText, parseMetrics };
