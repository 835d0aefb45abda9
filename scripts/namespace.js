'use strict';

const { spawnSync } = require('node:child_process');

/**
 * What to put before a command to have it in a network namespace of its own, where nobody else takes ports.
 *
 * @param {string} [prepare] a shell command that is run in there first
 * @returns {string[]} empty: there is none to be had
 */
function networkNamespace(prepare) {
  if (process.platform !== 'linux') return [];
  const words = ['unshare', ...(process.getuid() === 0 ? [] : ['--map-root-user']), '--net'];
  const steps = ['ip link set lo up', prepare, 'exec "$@"'].filter((step) => step !== undefined);
  words.push('sh', '-c', steps.join(' && '), 'sh');
  const { status } = spawnSync(words[0], [...words.slice(1), 'true'], { stdio: 'ignore' });
  return status === 0 ? words : [];
}

module.exports = { networkNamespace };
