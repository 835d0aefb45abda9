// How client and server work with the functions of Node for all emitters. Compiled, never run.

import { subscribe } from 'node:diagnostics_channel';
import { on, once } from 'node:events';
import { inspect } from 'node:util';
import {
  type ConnectionDiagnostics,
  type ErrorDiagnostics,
  type MessageDiagnostics,
  SockhopClient,
  SockhopServer,
  type SockhopStats,
} from 'sockhop-native';

export async function idioms(signal: AbortSignal) {
  await using server = new SockhopServer({ port: 0, captureRejections: true });
  await using client = new SockhopClient({ captureRejections: false });
  await server.listen({ signal, exclusive: false });
  await server.listen({ signal: null });
  await client.connect({ signal });
  await client.connect({ signal: null });
  // @ts-expect-error only a server listens
  await client.connect({ exclusive: true });

  const [sock, session] = await once(server, 'connect', { signal });
  for await (const [object, meta] of on(client, 'receive', { signal, close: ['disconnect'] })) {
    meta.callback?.(object);
  }
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();

  const { connections, messages_sent, bytes_received, queued_bytes }: SockhopStats = server.stats();
  const trip: number | null = client.stats().round_trip;
  return [
    sock,
    session,
    inspect(client),
    connections,
    messages_sent,
    bytes_received,
    queued_bytes,
    trip,
  ];
}

subscribe('sockhop:connect', (message) => {
  const { socket } = message as ConnectionDiagnostics;
  return socket.remotePort;
});
subscribe('sockhop:disconnect', (message) => {
  const event = message as ConnectionDiagnostics;
  if ('server' in event) return event.server.sessions.indexOf(event.session);
  return event.client.stats().connections;
});
subscribe('sockhop:message', (message) => {
  const { server, socket, direction, kind, type, id, last } = message as MessageDiagnostics;
  return [
    server?.port,
    socket?.remotePort,
    direction === 'sent',
    kind === 'answer',
    type,
    id,
    last,
  ];
});
subscribe('sockhop:error', (message) => {
  const { error, client, server } = message as ErrorDiagnostics;
  return [error.code, client?.address, server?.sockets.length];
});
