import type { ClusterEngine } from '../../index';

/** A connection of `@nats-io/transport-node` or `nats`. */
export interface NatsConnectionLike {
  publish(subject: string, payload?: Uint8Array, options?: { reply?: string }): void;
  // biome-ignore lint/suspicious/noExplicitAny: the packages declare different options
  subscribe(subject: string, options?: any): { unsubscribe(max?: number): void };
  flush(): Promise<void>;
  status(): AsyncIterable<object>;
  close(): Promise<void>;
  closed?(): Promise<unknown>;
  info?: { max_payload: number };
}

/**
 * @param connection a connection of the program, which closes it; or a URL or options of `connect()`,
 *   for a connection that the server makes at `listen()` and closes at `close()`
 * @throws TypeError for any other value
 */
export function nats(connection: NatsConnectionLike | string | object): ClusterEngine;
