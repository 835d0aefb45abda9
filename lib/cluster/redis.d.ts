import type { ClusterEngine } from '../../index';

/** A client of `ioredis`, `@redis/client` or `redis`. */
export interface RedisClientLike {
  // biome-ignore lint/suspicious/noExplicitAny: the packages declare different arguments
  duplicate(...args: any[]): any;
  // biome-ignore lint/suspicious/noExplicitAny: the packages declare different arguments
  publish(...args: any[]): any;
}

/**
 * @param client a client of the program, which closes it; or a URL, for a client that the server
 *   makes at `listen()` and closes at `close()`
 * @param options `sharded`: uses the sharded channels of Redis Cluster. Default: whether the client
 *   is one of a cluster
 * @throws TypeError for any other value
 */
export function redis(
  client: RedisClientLike | string,
  options?: { sharded?: boolean },
): ClusterEngine;
