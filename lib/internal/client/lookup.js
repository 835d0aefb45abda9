'use strict';

const dns = require('node:dns');

/**
 * The addresses of a host name, from `dns.lookup()` as it is at the moment: a program may have put its own there.
 *
 * @param {string} host
 * @param {boolean} all whether to ask for all addresses, as Node does to connect
 * @param {function} [find] instead of `dns.lookup()`
 * @returns {Promise<{address: string, family: number}[]>} at least one; rejects with the error of the lookup
 */
function lookup(host, all, find = dns.lookup) {
  return new Promise((resolve, reject) => {
    const found = (err, addresses, family) => {
      if (err) return reject(err);
      // One that knows nothing of `all` answers with a single address.
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

module.exports = { lookup };
