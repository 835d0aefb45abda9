import type { ClusterEngine } from '../../index';

/** What the servers of one process share. The methods are for tests of programs. */
export class MemoryBus {
  /** Gets each message, and returns the messages that are delivered instead. */
  fault: ((message: MemoryMessage) => MemoryMessage[]) | null;
  /** Whether it passes messages on. */
  get isUp(): boolean;
  /** The bus is away until `start()`. Messages that are on their way are lost. */
  stop(): void;
  start(): void;
}

/** A message on its way to one engine. */
export interface MemoryMessage {
  subject: string;
  bytes: Uint8Array;
  engine: MemoryEngine;
}

/** An engine for servers of one process. */
export interface MemoryEngine extends ClusterEngine {
  /** How many subjects it has subscribed to. */
  readonly subscriptions: number;
  /** This engine alone loses its link to the bus until `mend()`. */
  cut(): void;
  mend(): void;
}

/** @param options `bus`: servers that share it are one cluster. Default: one for the process */
export function memory(options?: { bus?: MemoryBus }): MemoryEngine;
