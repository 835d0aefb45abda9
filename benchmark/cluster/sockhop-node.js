// One node of this package: a server in a process of its own.

const cluster = require('node:cluster');
const { serveCommands } = require('./commands.js');

const root = process.env.SOCKHOP_UNDER_TEST || '../..';
const { SockhopServer } = require(root);

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
  const { cluster: nodes } = server;
  const ids = [];
  server.on('connect', (_, session) => ids.push(nodes.id_of(session)));
  serveCommands({
    port: () => listener.address().port,
    ready: async (count) => {
      while (config.engine && nodes.nodes.size < count) {
        await new Promise((resolve) => nodes.once('node_up', resolve));
      }
    },
    broadcast: (data) => server.sendall(data),
    ids: () => ids,
    call: (id, data) =>
      new Promise((resolve, reject) => {
        nodes.session(id).send(data, resolve).catch(reject);
      }),
    join: async (count, group) => {
      await Promise.all(server.sessions.slice(0, count).map((one) => nodes.join(one, group)));
    },
    toGroup: (group, data) => nodes.group(group).send(data),
  });
}

if (cluster.isPrimary && process.argv[3] === 'primary') {
  engineOf('workers').relay();
  require('./commands.js').forkWorkers(process.argv[2]);
} else main(JSON.parse(process.argv[2]));
