'use strict';

/** Which figure of `stats()` counts the errors of a code. */
const COUNTERS = Object.freeze({
  ERR_MESSAGE_TOO_LARGE: 'oversized_messages',
  ERR_OBJECTBUFFER_BAD_BUFFER_DATA: 'bad_frames',
  ERR_TOO_MANY_CONNECTIONS: 'refused_connections',
  ERR_TOO_MANY_CALLBACKS: 'refused_callbacks',
  ERR_CALLBACK_TIMEOUT: 'timed_out_callbacks',
  ERR_IDLE_TIMEOUT: 'idle_timeouts',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'handshake_timeouts',
  ERR_SLOW_CONSUMER: 'slow_consumers',
});

/** How often each limit of a client or server was met since it was made. */
class LimitCounters {
  /** How often a client could not connect by itself. */
  failed_reconnects = 0;

  constructor() {
    for (const name of Object.values(COUNTERS)) this[name] = 0;
  }

  /**
   * @param {Error} err what is reported, whatever it is
   * @returns {Error} the same
   */
  count(err) {
    const name = COUNTERS[err?.code];
    if (name !== undefined) this[name] += 1;
    return err;
  }
}

module.exports = { LimitCounters };
