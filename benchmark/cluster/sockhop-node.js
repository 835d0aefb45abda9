// One node of this package: a server in a separate process.

const cluster = require('node:cluster');
const { serveCommands } = require('./commands.js');

const root = process.env.SOCKHOP_UNDER_TEST || '../..';
const { SockhopServer } = require(root);

const GROUP_SIZE = 10;

const engineOf = (name) => require(`${root}/lib/cluster/${name}.js`);

/** The engine for the name of a broker and its URL. */
function engineFor({ engine, url }) {
  if (engine === 'workers') return engineOf('workers').workers();
  return engine === undefined ? undefined : engineOf(engine)[engine](url);
}

async function main(config) {
  const server = new SockhopServer({ port: 0, cluster: engineFor(config) });
  server.on('error', () => {});
  const listener = await server.listen({ exclusive: true });
  // Without an engine there is no cluster, until a program asks for it.
  const nodes = config.engine && server.cluster;
  serveCommands({
    port: () => listener.address().port,
    ready: async (count) => {
      while (config.engine && nodes.nodes.size < count) {
        await new Promise((resolve) => nodes.once('node_up', resolve));
      }
    },
    broadcast: (data) => server.sendall(data),
    ids: () => server.sessions.map((session) => nodes.id_of(session)),
    call: (id, data) =>
      new Promise((resolve, reject) => {
        nodes.session(id).send(data, resolve).catch(reject);
      }),
    /** Each session joins one group. `part`: the part of all sessions that earlier nodes have. */
    joinGroups: async (count, part) => {
      const { sessions } = server;
      const first = Math.round((part * count * GROUP_SIZE) % count);
      await Promise.all(
        sessions.flatMap((session, n) => [
          ...[...nodes.groups_of(session)].map((group) => nodes.leave(session, group)),
          nodes.join(session, `group ${(first + n) % count}`),
        ]),
      );
    },
    toGroup: (group, data) => nodes.group(group).send(data),
    change: async (id, group) => {
      const handle = nodes.session(id);
      await handle.join(group);
      await handle.leave(group);
    },
  });
}

if (cluster.isPrimary && process.argv[3] === 'primary') {
  engineOf('workers').relay();
  require('./commands.js').forkWorkers(process.argv[2]);
} else main(JSON.parse(process.argv[2]));
