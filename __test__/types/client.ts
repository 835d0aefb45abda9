// The uses of a client that the types accept and refuse. Compiled, never run.

import { SockhopClient, type SockhopError, type SockhopSocket } from 'sockhop-native';

interface Order {
  item: string;
  count: number;
}
interface Receipt {
  total: number;
}

const plain = new SockhopClient();
new SockhopClient({});
new SockhopClient({ path: '/run/a.sock', terminator: '\0', peer_type: 'json' });
new SockhopClient({ terminator: ['\n', '\0'], allow_non_objects: true });
new SockhopClient({ port: process.env.PORT, address: undefined, path: null });
new SockhopClient({ ssl: true, ssl_options: { ca: 'pem', rejectUnauthorized: false } });
new SockhopClient({ auto_reconnect_interval: 100, connect_timeout: 1, response_timeout: 1 });
new SockhopClient({ auto_reconnect_factor: 2, auto_reconnect_jitter: 0.5 });
new SockhopClient({ auto_reconnect_max_interval: 60_000 });
new SockhopClient({ max_message_size: 1024, slow_consumer: 'drop', send_high_water_mark: 1 });
new SockhopClient({ debug: true });
new SockhopClient({ values: 'rich' });

// @ts-expect-error a terminator is text
new SockhopClient({ terminator: 5 });
// @ts-expect-error one string or two
new SockhopClient({ terminator: ['\n', '\n', '\n'] });
// @ts-expect-error no such policy
new SockhopClient({ slow_consumer: 'ignore' });
// @ts-expect-error no such kind of values
new SockhopClient({ values: 'all' });
// @ts-expect-error a client has no sessions
new SockhopClient({ session_type: class {} });
// @ts-expect-error a time is a number
new SockhopClient({ connect_timeout: '5s' });
// @ts-expect-error an option of tls.connect() of the wrong type
new SockhopClient({ ssl_options: { servername: 5 } });

// @ts-expect-error a factor is a number
new SockhopClient({ auto_reconnect_factor: '2' });

plain.on('reconnecting', (attempt, delay, lastError) => {
  const until: number = attempt * delay;
  const code: string | undefined = lastError?.code;
  // @ts-expect-error there may be no error
  lastError.code;
  return [until, code];
});
const lastConnectError: string | null = plain.stats().last_connect_error;
// @ts-expect-error null without an error
lastConnectError.length;

new SockhopClient({ addresses: [{ port: 5 }, { path: '/run/a.sock' }], address_order: 'random' });
// @ts-expect-error no such order
new SockhopClient({ address_order: 'sorted' });
// @ts-expect-error a place is an object
new SockhopClient({ addresses: ['127.0.0.1:50000'] });

// Untyped, anything that has a constructor can be sent and anything can come back.
plain.send({ a: 1 });
plain.send('text');
plain.send(5);
plain.send([1], (object, meta) => {
  object.whatever.it.is;
  const type: string | undefined = meta.type;
  return type;
});
// @ts-expect-error null has no constructor
plain.send(null);
// @ts-expect-error undefined has no constructor
plain.send(undefined);
// @ts-expect-error a callback is a function
plain.send('text', 'callback');

plain.send('text', null, { timeout: 5, signal: new AbortController().signal });
// @ts-expect-error a time is a number
plain.send('text', null, { timeout: '5' });
new SockhopClient({ offline_queue: 100, offline_queue_bytes: 1e6 });
// @ts-expect-error a number of messages
new SockhopClient({ offline_queue: true });

// With types, only the agreed messages are accepted.
const typed = new SockhopClient<Receipt, Order>({ port: 6000 });
typed.send({ item: 'hat', count: 1 });
typed.send<Receipt>({ item: 'hat', count: 1 }, (receipt) => receipt.total.toFixed());
// @ts-expect-error not an Order
typed.send({ item: 'hat' });
// @ts-expect-error not an Order
typed.request('hat');

typed.on('receive', (receipt, meta) => {
  const total: number = receipt.total;
  // @ts-expect-error a Receipt has no item
  receipt.item;
  meta.callback?.({ item: 'hat', count: total });
  // @ts-expect-error the callback is there only if it was asked for
  meta.callback({ item: 'hat', count: total });
  // @ts-expect-error a client knows no session
  meta.session;
});
typed.on('request', (req, res) => {
  const total: number = req.data.total;
  const type: string = req.type;
  res.write({ item: type, count: total });
  res.send({ item: type, count: total }).then(() => {});
  res.end();
  // @ts-expect-error not an Order
  res.send('hat');
});

// Every event, with every way to listen.
plain.on('connect', (sock) => sock.remoteAddress?.length);
plain.once('disconnect', (sock: SockhopSocket) => sock.destroyed);
plain.addListener('error', (err) => err.code?.startsWith('ERR_'));
plain.prependListener('error', (err: Error) => err.message);
plain.prependOnceListener('sending', (_object, buffer) => buffer.length);
plain.on('received', (_object, buffer: Buffer) => buffer.length);
plain.on('receive', async (object) => void (await object));
const onConnect = (_sock: SockhopSocket) => {};
plain.off('connect', onConnect).removeListener('connect', onConnect);
plain.emit('disconnect', plain.socket as SockhopSocket);

// @ts-expect-error connect has a socket and nothing else
plain.on('connect', (_sock: SockhopSocket, _session: string) => {});
// @ts-expect-error the argument is a socket
plain.on('connect', (_sock: number) => {});
// @ts-expect-error the argument is an error
plain.once('error', (err) => err.nonsense);
// @ts-expect-error a listener is a function
plain.on('receive', 'listener');
// @ts-expect-error disconnect has an argument
plain.emit('disconnect');

// Events of the program's own.
plain.on('mine', (a: number, b: string) => [a, b]);
plain.once(Symbol('mine'), () => {});
plain.emit('mine', 1, 'two');
const name: string = 'mine';
plain.on(name, () => {});

async function life() {
  await using client = new SockhopClient();
  const controller = new AbortController();
  await client.connect({ signal: controller.signal });
  client.port = 6000;
  client.address = '::1';
  client.path = null;
  client.auto_reconnect = true;
  client.ping(1000);
  client.ping();
  const connected: boolean = client.connected;
  const address: string = client.get_bound_address();
  const figures: number = client.stats().bytes_received;
  client.socket?.setKeepAlive(true).unref();
  client.socket = process.stdin;
  await client.disconnect();
  // @ts-expect-error the client emits this event, not the program
  client.connected = true;
  // @ts-expect-error a signal is an AbortSignal
  client.connect({ signal: controller });
  // @ts-expect-error an interval is a number
  client.ping('1s');
  // @ts-expect-error the assigned value must be a stream
  client.socket = 5;
  return [connected, address, figures];
}
life();

class MyClient extends SockhopClient<Receipt, Order> {
  #orders = 0;

  order(item: string) {
    this.#orders += 1;
    return this.send({ item, count: this.#orders });
  }
}
new MyClient({ port: 1 }).order('hat').catch((err: SockhopError) => err.code);

// A call is a promise of the answer.
export async function calls(signal: AbortSignal) {
  const anything = await plain.call({ a: 1 });
  const receipt = await typed.call<Receipt>({ item: 'hat', count: 1 }, { timeout: 100, signal });
  // @ts-expect-error not an Order
  typed.call('hat');
  // @ts-expect-error a time is a number
  plain.call({}, { timeout: '5s' });
  // @ts-expect-error the promise has the answer
  plain.call({}, () => {});
  return [anything.whatever, receipt.total.toFixed()];
}
