'use strict';

// A service as a supervisor runs it: systemd, a container, PM2. It listens on the socket that
// systemd passes, or on its own path, serves one user, and answers pending calls before it stops.
// node examples/service/server.js <path>

const Sockhop = require(process.env.SOCKHOP || '../..');

/** This must be shorter than the time after which the supervisor sends SIGKILL. */
const GRACE_MS = 8000;

/** The service accepts only processes of its own user. */
class OwnUser extends Sockhop.session {
  async start() {
    const peer = this.sock.peer_credentials;
    if (peer && peer.uid !== process.getuid()) throw new Error(`refused: user ${peer.uid}`);
  }
}

async function startService(path, tell = () => {}) {
  const server = new Sockhop.server({ path, session_type: OwnUser, captureRejections: true });
  server.on('error', (error) => console.error(error.message));
  server.on('receive', async (object, { callback }) => {
    if (!callback) return;
    tell('asked');
    await new Promise((resolve) => setTimeout(resolve, 300));
    callback({ double: Number(object?.number) * 2 });
  });

  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, async () => {
      tell('stopping');
      const cut = await server.close({ grace: GRACE_MS });
      tell(`stopped, connections cut: ${cut}`);
      process.exitCode = cut === 0 ? 0 : 1;
      process.disconnect?.();
    });
  }

  // The file of a server that was killed is taken over. The group of the file may connect as well.
  await server.listen({ systemd: true, unlink_stale: true, mode: 0o660 });
  tell('listening');
  return server;
}

module.exports = { startService };

if (require.main === module) {
  startService(process.argv[2], (state) => process.send?.(state)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
