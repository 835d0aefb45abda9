/** The reason why a value left the map. */
type Reason = 'overwritten' | 'deleted' | 'timed-out' | 'stopped';

/** A map whose values live for a limited time. */
declare class TimedMap<K = unknown, V = unknown> {
  /**
   * @param opts.timeout the time that values stay, in milliseconds. Default: `30000`
   * @param opts.ref whether the timers of values keep the process alive. Default: `true`
   */
  constructor(opts?: { timeout?: number; ref?: boolean });
  /** Adds a value. When it leaves the map, the callback is called once, with the reason. */
  set(key: K, value: V, callback?: ((reason: Reason) => void) | null, timeout?: number): this;
  get(key: K): V | undefined;
  /** Removes a value. Returns whether there was one. */
  delete(key: K): boolean;
  /** Removes all values. */
  stop(): void;
}

export = TimedMap;
