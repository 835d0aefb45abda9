const { createPeer } = require('./sockhop-api.js');

module.exports = createPeer({
  label: 'sockhop 1.8.4',
  transports: ['tcp', 'unix'],
  load: () => require('sockhop'),
  version: () => require('sockhop/package.json').version,
});
