// The uses of a server and its sessions that the types accept and refuse. Compiled, never run.

import { createServer, type Socket } from 'node:net';
import { SockhopClient, SockhopServer, SockhopSession, type SockhopSocket } from 'sockhop-native';
import { nats } from 'sockhop-native/cluster/nats';

class User extends SockhopSession {
  name = '';
  #since = new Date();

  override async start() {
    await super.start();
    this.name = `${this.sock.remoteAddress} since ${this.#since}`;
  }

  override async end() {
    this.server.sendall(`${this.name} has left`);
  }
}

class OldStyle extends SockhopSession {
  // Programs that keep the socket themselves.
  constructor(public connection: Socket) {
    super();
  }
}

new SockhopServer();
new SockhopServer({ port: 0, max_connections: Infinity, allow_half_open: true });
new SockhopServer({ session_type: OldStyle, captureRejections: true });
new SockhopServer({ cluster: process.env.NATS_URL && nats(process.env.NATS_URL) });
// @ts-expect-error yes or no
new SockhopServer({ captureRejections: 'yes' });
new SockhopServer({ ssl_options: { cert: '', key: [''], requestCert: true }, max_handshakes: 10 });
new SockhopServer({ ssl_options: {} }).set_secure_context({ cert: '', key: '' });
// @ts-expect-error options of tls.createServer()
new SockhopServer({ ssl_options: { servername: 'localhost' } });
// @ts-expect-error an object with options
new SockhopServer().set_secure_context('cert.pem');
new SockhopServer({ session_type: SockhopSession });
// @ts-expect-error lacks the members that a server needs in a session
new SockhopServer({ session_type: Map });
new SockhopServer({ session_type: { _from_socket: async (sock, host) => new User(sock, host) } });
// @ts-expect-error the class, not an instance
new SockhopServer({ session_type: new User() });
// @ts-expect-error the class, not its name
new SockhopServer({ session_type: 'User' });
// @ts-expect-error one of three policies
new SockhopServer({ slow_consumer: true });

// The sessions' class follows from the option.
const server = new SockhopServer({ session_type: User });
server.on('connect', (sock, session) => [sock.remotePort, session.name]);
server.once('disconnect', (sock: Socket, session: User) => [sock, session]);
server.on('receive', (object, meta) => {
  object.whatever;
  meta.session.name.length;
  meta.socket.end();
  meta.callback?.();
  meta.callback?.('answer');
  // @ts-expect-error null has no constructor
  meta.callback?.(null);
});
server.on('request', (req, res, meta) => res.send(`${req.type} from ${meta.session.name}`));
server.on('error', (err, sock, session) => {
  err.message;
  sock?.destroy();
  session?.kill();
  // @ts-expect-error the server's own errors have no session
  session.kill();
  // @ts-expect-error the server's own errors have no socket
  sock.destroy();
});
// @ts-expect-error the session is a User
server.on('connect', (_sock, _session: OldStyle) => {});
// @ts-expect-error a User has no such field
server.on('connect', (_sock, session) => session.age);
// @ts-expect-error three arguments at most
server.on('error', (_err, _sock, _session, _more: string) => {});
server.sessions[0]?.name;
// @ts-expect-error a User has no such field
server.sessions[0]?.age;

interface Question {
  q: string;
}
interface Answer {
  a: string;
}
const typed = new SockhopServer<User, Question, Answer>({ session_type: User });
typed.on('receive', (object) => object.q);
typed.sendall({ a: 'all' });
// @ts-expect-error not an Answer
typed.sendall('all');
typed.on('request', (req, res) => res.send({ a: req.data.q }));
// @ts-expect-error not an Answer
typed.on('request', (req, res) => res.send({ q: req.data.q }));
// @ts-expect-error the session type is not the one that was named
new SockhopServer<User>({ session_type: OldStyle });

export async function life(sock: SockhopSocket, raw: Socket) {
  await using host = new SockhopServer({ port: 0 });
  const listener = await host.listen({ signal: AbortSignal.timeout(1000), exclusive: true });
  // @ts-expect-error yes or no
  await host.listen({ exclusive: 'yes' });
  await host.listen({ unlink_stale: true, mode: 0o660, readableAll: true, writableAll: true });
  await host.listen({ systemd: 'web', backlog: 4096, mode: '660' });
  await host.listen({ fd: 3, systemd: true, ipv6_only: true, ipv6Only: true, reuse_port: true });
  // @ts-expect-error a number
  await host.listen({ fd: '3' });
  // @ts-expect-error an option of createServer()
  await host.listen({ pauseOnConnect: true });
  listener.address();
  listener.unref().ref();
  listener.once('close', () => {});
  host.server.getConnections((_err, count: number) => count);
  host.server.maxConnections = 5;
  host.server.listen(0, '127.0.0.1', () => {});
  host.server = createServer((stream) => listener.emit('connection', stream));
  const listening: boolean = host.server.listening;
  await host.send(sock, { a: 1 });
  await host.send(raw, { a: 1 }, (reply: Question) => reply.q);
  // @ts-expect-error the first argument is a socket
  await host.send({ a: 1 });
  // @ts-expect-error null is falsy
  await host.send(sock, null);
  await host.sendall('text');
  const stream = await host.request<string>(sock, 'text', { timeout: 5 });
  const { data }: { data: string } = await stream.next();
  await host.kill_socket(sock);
  const index = host.sockets.indexOf(sock);
  const { pid = null, uid, gid } = sock.peer_credentials ?? {};
  // @ts-expect-error the system provides the value
  sock.peer_credentials = { pid, uid, gid };
  host.ping(1000);
  host.emit_async('connect', sock, new SockhopSession(sock, host));
  host.emit_async('mine', 1);
  // @ts-expect-error connect has two arguments
  host.emit_async('connect', sock);
  await host.disconnect();
  // @ts-expect-error without a grace nothing is counted
  const nothing: number = await host.close();
  const cut: number = await host.close({ grace: 5000 });
  // @ts-expect-error a time in milliseconds
  await host.close({ grace: 'long' });
  const draining: boolean = host.draining;
  host.on('draining', () => {});
  // @ts-expect-error the event has no arguments
  host.on('draining', (_sock) => {});
  // @ts-expect-error the server emits this event, not the program
  host.sockets = [];
  const text: string = host.metrics({ labels: { shard: 3 }, others: [host, new SockhopClient()] });
  // @ts-expect-error a label is a text, a number or a boolean
  host.metrics({ labels: { shard: null } });
  return [listening, data, index, host.stats().cut_connections, nothing, cut, draining, text];
}

// A session with the types of its server and of its messages.
class Clerk extends SockhopSession<Answer, SockhopServer<Clerk>> {
  async greet() {
    await this.send({ a: 'hello' });
    // @ts-expect-error not an Answer
    await this.send('hello');
    const reply = await this.call<{ b: number }>({ a: 'hello' }, { timeout: 5 });
    const other = await this.server.call<string>(this.sock, { a: 'hello' });
    // @ts-expect-error not an Answer
    await this.call('hello');
    return this.server.sessions.length + reply.b + other.length;
  }
}
const clerks = new SockhopServer<Clerk>({ session_type: Clerk });
clerks.on('connect', (_sock, clerk) => clerk.greet());
clerks.sessions[0]?.emit('promoted', 1);
// @ts-expect-error a session has no such method
clerks.sessions[0]?.fire();
