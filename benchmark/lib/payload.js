/**
 * The objects that travel. Every peer gets the same ones, and every receiver checks what it gets.
 */

/** Appears once in every message a server sends to the load generator, and nowhere else. */
const READY = '^';

/** Letters only, so that no peer pays for escapes and the text stays one byte a character. */
function text(length) {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz';
  return alphabet.repeat(Math.ceil(length / alphabet.length)).slice(0, length);
}

/** A large object: an array of strings of 1 KiB, about `megabytes` MiB of JSON in all. */
function large(megabytes) {
  const rows = [];
  for (let i = 0; i < megabytes * 1024; i++) {
    rows.push(String(i).padEnd(1021, 'x'));
  }
  return { rows };
}

module.exports = { READY, large, text };
