'use strict';

const options = require('./options/options.js');

/**
 * Makes a client or server send pings at an interval, or stop sending them. The pings that were
 * sent before are forgotten.
 *
 * @param {SockhopClient|SockhopServer} endpoint has the timer as its `interval_timer`
 * @param {number} delay in ms; 0 stops
 * @param {{forgetPings: function(): void, ping: function(): void}} connections
 * @throws {TypeError|RangeError}
 */
function setPingInterval(endpoint, delay, connections) {
  const ms = delay
    ? options.checkMilliseconds('The "delay" argument', delay, '0 stops pinging')
    : 0;
  clearInterval(endpoint.interval_timer);
  endpoint.interval_timer = null;
  connections.forgetPings();
  if (ms === 0) return;
  endpoint.interval_timer = setInterval(() => connections.ping(), ms);
  // Connections keep the process alive; pinging does not.
  endpoint.interval_timer.unref?.();
}

module.exports = { setPingInterval };
