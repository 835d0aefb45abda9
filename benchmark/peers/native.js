const path = require('node:path');
const tls = require('node:tls');
const { createPeer, serveBehind, wire } = require('./sockhop-api.js');

/**
 * The package under test: the repository, or what SOCKHOP_UNDER_TEST names (a path, or a package
 * installed beside the peers).
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

module.exports = { ...peer, check: load };

/** TLS of the package's own if its server has it, otherwise Node's in front, as for the original. */
async function serveTls(setting) {
  const { Unsupported } = require('./index.js');
  // What a server without TLS takes for a broken frame is no error of the trial.
  const handlers = { receive: (data, reply) => reply(data), tolerant: true };
  for (const serve of [serveOwn, serveBehind]) {
    let trial;
    try {
      trial = await serve({ ...setting, handlers });
    } catch (err) {
      // A server that speaks no TLS refuses the options for it.
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
  throw new Unsupported('its server neither speaks TLS nor takes a connection from a TLS server');
}

async function serveOwn({ options, handlers, certificates, createServer }) {
  const { key, cert } = certificates;
  const server = createServer({ ...options, ssl: true, ssl_options: { key, cert } }, handlers);
  await server.listen();
  return server;
}

const PROBE = { seq: 'probe' };

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
    socket.on('secureConnect', () => socket.write(wire.frame(PROBE)));
    socket.on('data', (chunk) => chunk.includes(PROBE.seq) && finish(true));
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
  });
}
