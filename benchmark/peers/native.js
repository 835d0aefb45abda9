const path = require('node:path');
const tls = require('node:tls');
const { createPeer, serveBehind, wire } = require('./sockhop-api.js');
const { READY } = require('../lib/payload.js');

/**
 * The package under test: the repository, or what SOCKHOP_UNDER_TEST names (a path, or a package
 * installed beside the peers).
 */
const underTest = process.env.SOCKHOP_UNDER_TEST ?? path.join(__dirname, '..', '..');
const location = underTest.startsWith('.') ? path.resolve(underTest) : underTest;

module.exports = createPeer({
  label: 'sockhop-native',
  transports: ['tcp', 'unix'],
  load: () => require(location),
  version: () => require(path.posix.join(location, 'package.json')).version,
  serveTls,
});

/** TLS of the package's own if its server has it, otherwise Node's in front, as for the original. */
async function serveTls({ options, handlers, certificates, createServer }) {
  const { Unsupported } = require('./index.js');
  const own = createServer(
    { ...options, ssl: true, ssl_options: { key: certificates.key, cert: certificates.cert } },
    handlers,
  );
  await own.listen();
  if (await answers(options, certificates)) {
    return own;
  }
  await own.close();
  const behind = await serveBehind({ options, handlers, certificates, createServer });
  if (await answers(options, certificates)) {
    return behind;
  }
  await behind.stopFront();
  throw new Unsupported('its server neither speaks TLS nor takes a connection from a TLS server');
}

/** Whether a TLS client that sends an object is answered. */
function answers(options, { ca }) {
  const target = options.path ? { path: options.path } : { port: options.port, host: '127.0.0.1' };
  return new Promise((resolve) => {
    const socket = tls.connect({ ...target, ca, servername: 'localhost' });
    const finish = (answered) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answered);
    };
    const timer = setTimeout(finish, 1500, false);
    socket.on('secureConnect', () => socket.write(wire.frame({ op: 'hello' })));
    socket.on('data', (chunk) => chunk.includes(READY) && finish(true));
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
  });
}
