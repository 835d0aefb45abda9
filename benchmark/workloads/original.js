/**
 * One end is sockhop 1.8.4, and the other one is the peer. The peer "sockhop 1.8.4" is the original
 * at both ends. The ratio and the processor time of this package therefore show the gain or loss of
 * a program that changes to this package, while its peers do not.
 */

const definitions = [
  ...require('./oneway.js'),
  ...require('./roundtrip.js'),
  ...require('./callbacks.js'),
  ...require('./requests.js'),
];

/**
 * @param {string} name
 * @param {string} like the workload that both ends run
 * @param {'server'|'client'} original the end that is the original
 * @param {string} title
 */
function withOriginal(name, like, original, title) {
  const { floor, family, payload, ...rest } = definitions.find((each) => each.name === like);
  return { ...rest, name, title, original, transports: ['tcp', 'unix'] };
}

module.exports = [
  withOriginal('original-send', 'oneway-record', 'server', 'Records sent to the original'),
  withOriginal('original-send-4k', 'oneway-4k', 'server', '4 KiB texts sent to the original'),
  withOriginal('original-receive', 'oneway-record', 'client', 'Records received from the original'),
  withOriginal(
    'original-receive-4k',
    'oneway-4k',
    'client',
    '4 KiB texts received from the original',
  ),
  withOriginal('original-roundtrip', 'roundtrip-record', 'server', 'Round trip to the original'),
  withOriginal(
    'original-callbacks',
    'callbacks-record',
    'server',
    'Callbacks of the original, 100 at a time',
  ),
  withOriginal(
    'original-answers',
    'callbacks-record',
    'client',
    'Answers to callbacks of the original, 100 at a time',
  ),
  withOriginal(
    'original-requests',
    'requests',
    'server',
    'Requests to the original, 20 in progress',
  ),
];
