'use strict';

const { spawnSync } = require('node:child_process');

/**
 * The words that run a command in a separate network namespace, where no other process can take
 * ports.
 *
 * @param {string} [prepare] a shell command to run in the namespace first
 * @returns {string[]} empty if the system allows no namespace
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
