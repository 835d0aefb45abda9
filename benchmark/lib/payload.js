/**
 * The objects that are sent. They are the same for all peers, and every receiver checks them.
 */

/**
 * This character appears once in every message from a server to the load generator, and nowhere
 * else.
 */
const READY = '^';

/** Only letters, so that no peer has to escape them and each takes one byte. */
function text(length) {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz';
  return alphabet.repeat(Math.ceil(length / alphabet.length)).slice(0, length);
}

/** A large object: an array of strings of 1 KiB, about `megabytes` MiB of JSON. */
function large(megabytes) {
  const rows = [];
  for (let i = 0; i < megabytes * 1024; i++) {
    rows.push(String(i).padEnd(1021, 'x'));
  }
  return { rows };
}

module.exports = { READY, large, text };
