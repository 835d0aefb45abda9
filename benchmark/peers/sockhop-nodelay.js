const { createPeer } = require('./sockhop-api.js');

module.exports = createPeer({
  label: 'sockhop 1.8.4 with setNoDelay()',
  transports: ['tcp'],
  load: () => require('sockhop-1.8'),
  version: () => require('sockhop-1.8/package.json').version,
  noDelay: true,
});
