import type { ClusterEngine } from '../../index';

/**
 * An engine for one server in a worker of `node:cluster`, whose primary process has to call
 * `relay()`. A server in the primary process may use one as well.
 */
export function workers(): ClusterEngine;

/**
 * Makes the primary process pass messages between its workers. Further calls do nothing.
 *
 * @throws Error in a worker
 */
export function relay(): void;
