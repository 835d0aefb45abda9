const path = require('node:path');
const tls = require('node:tls');
const { createPeer, serveBehind, wire } = require('./sockhop-api.js');

/**
 * The package under test: this repository, or the one that SOCKHOP_UNDER_TEST names (a path, or a
 * package that is installed next to the peers).
 */
const underTest = process.env.SOCKHOP_UNDER_TEST ?? path.join(__dirname, '..', '..');
const location = underTest.startsWith('.') ? path.resolve(underTest) : underTest;

const load = () => require(location);

const peer = createPeer({
  label: 'sockhop-native',
  transports: ['tcp', 'unix'],
  load,
  version: () => require(path.posix.join(location, 'package.json')).version,
  serveTls,
});

module.exports = { ...peer, carriesBuffers: true, check: load };

/**
 * Uses the TLS of the package if its server has one. Otherwise Node's server accepts, as for the
 * original.
 */
async function serveTls(setting) {
  const { Unsupported } = require('./index.js');
  // A server without TLS reports a bad frame, which is not an error of this trial.
  const handlers = { receive: (data, reply) => reply(data), tolerant: true };
  for (const serve of [serveOwn, serveBehind]) {
    let trial;
    try {
      trial = await serve({ ...setting, handlers });
    } catch (err) {
      // A server without TLS refuses the TLS options.
      if (err.code !== 'ERR_INVALID_ARG_VALUE') throw err;
      continue;
    }
    const answered = await answers(setting.options, setting.certificates);
    await trial.stopFront?.();
    await trial.close();
    if (answered) {
      return serve(setting);
    }
  }
  throw new Unsupported('its server has no TLS and accepts no connection of a TLS server');
}

async function serveOwn({ options, handlers, certificates, createServer }) {
  const { key, cert } = certificates;
  const server = createServer({ ...options, ssl: true, ssl_options: { key, cert } }, handlers);
  await server.listen();
  return server;
}

const PROBE = { seq: 'probe' };

/** Whether the server answers an object of a TLS client. */
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
    socket.on('secureConnect', () => socket.write(wire.frame(PROBE)));
    socket.on('data', (chunk) => chunk.includes(PROBE.seq) && finish(true));
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
  });
}
