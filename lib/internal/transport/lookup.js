'use strict';

const dns = require('node:dns');

const { interleaveFamilies } = require('../addresses.js');

/**
 * The addresses of a host name, from the current `dns.lookup()`, which a program may have replaced.
 *
 * @param {string} host
 * @param {boolean} all whether to ask for all addresses, as Node does to connect
 * @param {function} [find] instead of `dns.lookup()`
 * @returns {Promise<{address: string, family: number}[]>} at least one; rejects with the error of
 *   the lookup
 */
function lookup(host, all, find = dns.lookup) {
  return new Promise((resolve, reject) => {
    const found = (err, addresses, family) => {
      if (err) return reject(err);
      // A function that does not know `all` returns a single address.
      const list = Array.isArray(addresses) ? addresses : [{ address: addresses, family }];
      if (list.length > 0) resolve(list);
      else reject(notFound(host));
    };
    if (all) find(host, { family: 0, hints: dns.ADDRCONFIG, all: true }, found);
    else find(host, found);
  });
}

function notFound(hostname) {
  const err = new Error(`getaddrinfo ENOTFOUND ${hostname}`);
  return Object.assign(err, { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname });
}

/**
 * The endpoints of a host name and port in the order in which they are tried.
 *
 * @param {{address: string, port: number}} target
 * @param {import('node:events').EventEmitter} socket emits `lookup` events, as a `net.Socket`
 * @returns {Promise<{address: string, port: number}[]>} rejects with the error of
 *   the lookup
 */
async function resolveEndpoints({ address, port }, socket) {
  let found;
  try {
    found = await lookup(address, true);
  } catch (err) {
    socket.emit('lookup', err, undefined, undefined, address);
    throw err;
  }
  for (const entry of found) socket.emit('lookup', null, entry.address, entry.family, address);
  return interleaveFamilies(found).map((entry) => ({ address: entry.address, port }));
}

module.exports = { lookup, resolveEndpoints };
