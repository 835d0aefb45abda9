const { createPeer } = require('./sockhop-api.js');

module.exports = createPeer({
  label: 'sockhop 1.8.4 with setNoDelay()',
  transports: ['tcp'],
  load: () => require('sockhop'),
  version: () => require('sockhop/package.json').version,
  noDelay: true,
});
