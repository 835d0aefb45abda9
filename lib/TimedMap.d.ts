/** Why a value left the map. */
type Reason = 'overwritten' | 'deleted' | 'timed-out' | 'stopped';

/** A map whose values live for a limited time. */
declare class TimedMap<K = unknown, V = unknown> {
  /**
   * @param opts.timeout how long values are kept, in ms. Default: `30000`
   * @param opts.ref whether a value that waits for its time-out keeps the process alive. Default: `true`
   */
  constructor(opts?: { timeout?: number; ref?: boolean });
  /** Puts a value in; the callback is told once why it left. */
  set(key: K, value: V, callback?: ((reason: Reason) => void) | null, timeout?: number): this;
  get(key: K): V | undefined;
  /** Takes a value out; whether there was one. */
  delete(key: K): boolean;
  /** Takes all values out. */
  stop(): void;
}

export = TimedMap;
