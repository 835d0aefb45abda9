'use strict';

// The parser of OpenMetrics text that Prometheus' client library for Python has. It refuses
// everything that the standard forbids.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');
const DIRECTORY = path.join(ROOT, 'target', 'tools', 'prometheus_client-0.26.0');
const WHEEL =
  'prometheus_client==0.26.0 --hash=sha256:fa93d06737aa02bacd05794768508bb97d2fbee28cb3bca04eaae92f0ca953d6\n';

const PROGRAM = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = []
for family in text_string_to_metric_families(sys.stdin.read()):
    samples = [{"name": each.name, "labels": each.labels, "value": each.value} for each in family.samples]
    families.append({"name": family.name, "type": family.type, "unit": family.unit,
                     "help": family.documentation, "samples": samples})
json.dump(families, sys.stdout)
`;

const python = (args, options) =>
  spawnSync('python3', args, {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    env: { ...process.env, PYTHONPATH: DIRECTORY },
    ...options,
  });

/** Installs the parser once, below target/. */
function install() {
  const staging = `${DIRECTORY}.${process.pid}`;
  const requirements = `${staging}.txt`;
  fs.mkdirSync(path.dirname(DIRECTORY), { recursive: true });
  fs.writeFileSync(requirements, WHEEL);
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps'];
  args.push('--only-binary=:all:', '--require-hashes', '--target', staging, '-r', requirements);
  const { status } = python(args, { stdio: 'ignore' });
  // Another test may have installed it meanwhile.
  if (status === 0 && !fs.existsSync(DIRECTORY)) fs.renameSync(staging, DIRECTORY);
  fs.rmSync(staging, { recursive: true, force: true });
  fs.rmSync(requirements, { force: true });
}

/** @returns {false | string} why there is no parser, for the option `skip` of a test */
function parserMissing() {
  if (python(['-m', 'pip', '--version']).status !== 0) return 'python3 with pip is not here';
  if (!fs.existsSync(DIRECTORY)) install();
  return fs.existsSync(DIRECTORY) ? false : 'prometheus_client could not be installed';
}

/**
 * @param {string} text
 * @returns {Array<{name: string, type: string, unit: string, help: string,
 *   samples: Array<{name: string, labels: object, value: number}>}>}
 * @throws {Error} if the text is not OpenMetrics
 */
function parse(text) {
  const { status, stdout, stderr } = python(['-c', PROGRAM], { input: text });
  if (status !== 0) throw new Error(`${stderr}\n${text}`);
  return JSON.parse(stdout);
}

module.exports = { parse, parserMissing };
