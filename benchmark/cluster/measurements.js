// The measurements of a peer. Times are in microseconds of processor time unless stated otherwise,
// because a busy machine changes them less than rates.

const { start, startNodes } = require('./processes.js');
const { BROKER_CLIENT, SOCKET_IO, SOCKHOP } = require('./peers.js');

const CLIENTS = 1000;
/** How many clients are there when a group is the whole server. */
const FEW_CLIENTS = 40;
const GROUP_SIZE = 10;
const BATCH = 25;
const MESSAGE = { text: 'x'.repeat(140) };
/** How many operations are in flight at once. */
const IN_FLIGHT = 100;
const CALLS = 500;
/**
 * The number of calls before the measured ones. V8 compiles their code only after some thousand
 * calls.
 */
const EARLIER_CALLS = 20_000;
const CALLS_AT_ONCE = 6000;
const CHANGES = 6000;
const GROUP_MESSAGES = 2000;

const sum = (values) => values.reduce((total, value) => total + value, 0);
const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const timesOf = (nodes) => Promise.all(nodes.map((node) => node.do('times')));

/**
 * @param {Remote[]} nodes
 * @param {function(): Promise<number>} work resolves with the number of its units
 * @returns {Promise<{count: number, seconds: number, process: number[], thread: number[]}>} what
 *   each process, and its JavaScript thread, has spent on one unit
 */
async function spentOn(nodes, work) {
  const before = await timesOf(nodes);
  const began = performance.now();
  const count = await work();
  const seconds = (performance.now() - began) / 1000;
  const after = await timesOf(nodes);
  const spent = (key) => after.map((times, n) => (times[key] - before[n][key]) / count);
  return { count, seconds, process: spent('process'), thread: spent('thread') };
}

/** Sends batches to all for some time. @returns {Promise<number>} how many messages */
async function sendFor(ms, sender, settled) {
  const began = performance.now();
  let count = 0;
  while (performance.now() - began < ms) {
    const sent = sender.do('send', BATCH, MESSAGE);
    count += BATCH;
    await settled(count);
    await sent;
  }
  return count;
}

/** Messages from node 0 to all. `settled(count)` resolves when they have arrived. */
async function broadcasts(nodes, ms, settled, reset) {
  // V8 compiles functions that run often, some time after they have begun to.
  await reset();
  await sendFor(ms / 2, nodes[0], settled);
  await reset();
  const spent = await spentOn(nodes, () => sendFor(ms, nodes[0], settled));
  const receivers = spent.thread.length > 1 ? spent.thread.slice(1) : spent.thread;
  return {
    rate: spent.count / spent.seconds,
    process: sum(spent.process),
    thread: sum(receivers) / receivers.length,
  };
}

/** Calls from node 0 to a session of node 1, one after another and many in flight. */
async function calls(nodes) {
  const [first, second] = nodes;
  const [id] = await second.do('ids');
  await first.do('calls', id, EARLIER_CALLS, 1);
  const one = await first.do('calls', id, CALLS, 1);
  await first.do('calls', id, CALLS_AT_ONCE / 2, IN_FLIGHT);
  const spent = await spentOn(nodes.slice(0, 2), async () => {
    await first.do('calls', id, CALLS_AT_ONCE, IN_FLIGHT);
    return CALLS_AT_ONCE;
  });
  return {
    call: one.median,
    calls: spent.count / spent.seconds,
    asking: spent.thread[0],
    answering: spent.thread[1],
  };
}

/** Sessions that join groups and leave them: those of node 1 itself, and then by node 0. */
async function groupChanges(nodes) {
  const [first, second] = nodes;
  const ids = await second.do('ids');
  const figures = {};
  for (const [node, name] of [
    [second, 'here'],
    [first, 'elsewhere'],
  ]) {
    await node.do('changes', ids, CHANGES / 2, IN_FLIGHT);
    const spent = await spentOn([first, second], () => node.do('changes', ids, CHANGES, IN_FLIGHT));
    figures[`${name}Rate`] = spent.count / spent.seconds;
    figures[name] = Math.max(...spent.thread);
  }
  return figures;
}

/** Messages to groups of ten, in which all sessions are. @returns {Promise<number>} process time */
async function groupMessages(nodes, clients, bytes, sessions) {
  const groups = sessions / GROUP_SIZE;
  await Promise.all(nodes.map((node, n) => node.do('joinGroups', groups, n / nodes.length)));
  let sent = 0;
  const send = async (count) => {
    for (const end = sent + count; sent < end; ) {
      const sending = nodes[0].do('sendToGroups', sent, BATCH, groups, MESSAGE);
      sent += BATCH;
      await clients.do('got', sent * GROUP_SIZE * bytes);
      await sending;
    }
    return count;
  };
  await clients.do('reset');
  await send(GROUP_MESSAGES / 2);
  return sum((await spentOn(nodes, () => send(GROUP_MESSAGES))).process);
}

/** The cost of idle nodes. */
async function idle(nodes) {
  const { process } = await spentOn(nodes, async () => {
    await delay(2000);
    return 2;
  });
  return sum(process) / process.length;
}

const heapOf = async (nodes) => sum(await Promise.all(nodes.map((node) => node.do('heap'))));

/** A peer of servers with clients. */
async function measureServers(peer, nodes, clients, ms) {
  await Promise.all(nodes.map((node) => node.do('ready', nodes.length)));
  const ports = await Promise.all(nodes.map((node) => node.do('port')));
  const connect = async (count) => {
    const kind = peer.program === SOCKET_IO ? 'socket.io' : 'sockhop';
    await clients.do('connect', ports, count / ports.length, kind);
  };
  const isCluster = peer.program === SOCKHOP && nodes.length > 1;
  const figures = {};
  await connect(FEW_CLIENTS);
  const bytes = await bytesOfMessage(nodes[0], clients, FEW_CLIENTS);
  if (isCluster) figures.fewGroup = await groupMessages(nodes, clients, bytes, FEW_CLIENTS);
  const heap = await heapOf(nodes);
  await connect(CLIENTS - FEW_CLIENTS);
  figures.heap = ((await heapOf(nodes)) - heap) / (CLIENTS - FEW_CLIENTS);
  figures.idle = await idle(nodes);
  const settled = (count) => clients.do('got', count * CLIENTS * bytes);
  Object.assign(figures, await broadcasts(nodes, ms, settled, () => clients.do('reset')));
  if (!isCluster) return figures;
  figures.group = await groupMessages(nodes, clients, bytes, CLIENTS);
  figures.groupRatio = figures.group / figures.fewGroup;
  await clients.do('answering', true);
  Object.assign(figures, await calls(nodes), await groupChanges(nodes));
  return figures;
}

/** How many bytes one client gets of a message. */
async function bytesOfMessage(sender, clients, count) {
  await clients.do('reset');
  await sender.do('send', 1, MESSAGE);
  return (await clients.do('settled')) / count;
}

/** The client of a broker by itself. */
async function measureBroker(nodes, ms) {
  let before = 0;
  let last = 0;
  const settled = (count) => {
    last = before + count;
    return Promise.all(nodes.map((node) => node.do('received', last)));
  };
  const reset = () => {
    before = last;
  };
  return { ...(await broadcasts(nodes, ms, settled, reset)), ...(await calls(nodes)) };
}

/**
 * @param {Peer} peer
 * @param {?string} url of its broker
 * @param {number} ms how long messages to all are sent
 * @returns {Promise<Object<string, number>>} figures by their names
 */
async function measure(peer, url, ms) {
  const { remotes: nodes, children } = startNodes(peer, url);
  const { remote: clients, child } = start('clients.js');
  try {
    await Promise.all([...nodes, clients].map(({ ready }) => ready));
    if (peer.program === BROKER_CLIENT) return await measureBroker(nodes, ms);
    return await measureServers(peer, nodes, clients, ms);
  } finally {
    for (const one of [...children, child]) one.kill('SIGKILL');
  }
}

module.exports = { BYTES: JSON.stringify(MESSAGE).length, CLIENTS, measure };
