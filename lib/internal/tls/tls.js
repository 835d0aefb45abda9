'use strict';

/*
 * TLS of a client: natively, where rustls does what the program's options ask for, and otherwise with
 * Node's own `tls`. Who reads `socket.authorized` or the code of an error cannot tell which it was.
 *
 * The native side accepts a certificate only if its chain is in order beyond doubt. It is stricter than
 * OpenSSL here and there, so what it does not accept is either wrong for certain (and then this module knows
 * what OpenSSL calls it) or left to OpenSSL: the client connects again, through `tls.connect()`.
 */

const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');

const native = require('../native/binding.js');
const { wallClock } = require('../real-timers.js');

/** The options that the native side understands; any other one is OpenSSL's. */
const NATIVE_OPTIONS = new Set([
  'ca',
  'cert',
  'key',
  'servername',
  'rejectUnauthorized',
  'checkServerIdentity',
  'minVersion',
  'maxVersion',
  'ALPNProtocols',
]);
/** What `tls.connect()` had once and passes over in silence now. */
const GONE_OPTIONS = ['NPNProtocols'];

/** The versions there are natively, in their order. */
const VERSIONS = ['TLSv1.2', 'TLSv1.3'];

const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';
const PEM_BLOCK = /-----BEGIN ([^\r\n]+)-----[\s\S]*?-----END \1-----/g;

/** A Node that knows the certificates of the system advises to use them where that may help. */
const ADVISES = typeof tls.getCACertificates === 'function';
/** As OpenSSL words them, by the codes of Node; null where the text is known to Node alone. */
const REFUSALS = {
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  DEPTH_ZERO_SELF_SIGNED_CERT: ADVISES ? null : 'self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in certificate chain',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: null,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: null,
};

// Node reads it when it starts, and so does this: a program that sets it later has no effect on either.
const extraFile = process.env.NODE_EXTRA_CA_CERTS;

// ---- PEM ------------------------------------------------------------------------------------------

/** One value or a list of them, as texts; null if there is anything but text and bytes. */
function texts(value) {
  const list = Array.isArray(value) ? value : [value];
  const found = [];
  for (const item of list) {
    if (typeof item === 'string') found.push(item);
    else if (ArrayBuffer.isView(item)) {
      found.push(Buffer.from(item.buffer, item.byteOffset, item.byteLength).toString('latin1'));
    } else return null;
  }
  return found;
}

/** The certificates in texts; null if there is something else in them. */
function certificates(list) {
  const found = [];
  for (const text of list) {
    const blocks = [...text.matchAll(PEM_BLOCK)];
    if (blocks.length === 0 || blocks.length !== text.split('-----BEGIN ').length - 1) return null;
    for (const [pem, label] of blocks) {
      if (label !== 'CERTIFICATE') return null;
      found.push(pem);
    }
  }
  return found;
}

function parse(pemOrDer) {
  try {
    return new crypto.X509Certificate(pemOrDer);
  } catch {
    return null;
  }
}

const selfIssued = (certificate) => certificate.subject === certificate.issuer;

// ---- whom to trust --------------------------------------------------------------------------------

/** The certificates that a client trusts. */
class Trust {
  #pem;
  #parsed;

  /**
   * @param {string[]|null} pem null for those built into the native side
   * @param {boolean} certain whether Node would trust these and no others
   * @param {crypto.X509Certificate[]} [parsed] the same certificates
   * @throws {Error} if they cannot be used natively
   */
  constructor(pem, certain, parsed) {
    this.#pem = pem ?? [];
    this.#parsed = parsed;
    this.certain = certain;
    // A certificate that issued itself and is no authority's vouches for itself alone: see `Plan`.
    const anchors = parsed
      ? pem.filter((_, index) => parsed[index].ca || !selfIssued(parsed[index]))
      : pem;
    this.native = new native.TlsTrust(anchors && Buffer.from(anchors.join('\n'), 'latin1'));
  }

  /** Those of Mozilla are many, and are read only when something is amiss. */
  get certificates() {
    this.#parsed ??= this.#pem.map(parse).filter((certificate) => certificate !== null);
    return this.#parsed;
  }

  /** @returns {boolean} whether this very certificate is among them */
  has(certificate) {
    return this.certificates.some((trusted) => trusted.raw.equals(certificate.raw));
  }

  issuerOf(certificate) {
    return this.certificates.find((trusted) => certificate.checkIssued(trusted));
  }
}

/** The trust of a program that names nobody: @type {?{source: string[], trust: ?Trust}} */
let usual = null;

/** @returns {?Trust} null if only Node knows */
function usualTrust() {
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (flags.includes('--use-openssl-ca')) return null;
  const told = typeof tls.getCACertificates === 'function';
  if (!told && flags.includes('--use-system-ca')) return null;
  const source = told ? tls.getCACertificates('default') : tls.rootCertificates;
  if (usual === null || usual.source !== source) {
    usual = { source, trust: makeUsualTrust(source, told) };
  }
  return usual.trust;
}

function makeUsualTrust(source, complete) {
  if (!Array.isArray(source) || source.length === 0) return new Trust(null, false);
  const pem = [...source];
  if (!complete && extraFile) {
    let extra;
    try {
      extra = certificates([fs.readFileSync(extraFile, 'latin1')]);
    } catch {
      // Node warns of it, and goes on without.
      extra = [];
    }
    if (extra === null) return null;
    pem.push(...extra);
  }
  // A Node that is built on the system's OpenSSL may trust what the system trusts, and not say so.
  const shared = process.config?.variables?.node_shared_openssl;
  try {
    return new Trust(pem, shared === false || shared === 'false');
  } catch {
    return null;
  }
}

/** @returns {?Trust} of the option `ca`; null if it is OpenSSL's */
function trustIn(ca) {
  const list = texts(ca);
  const pem = list && certificates(list);
  const parsed = pem?.map(parse);
  if (!parsed || parsed.includes(null)) return null;
  try {
    return new Trust(pem, true, parsed);
  } catch {
    return null;
  }
}

// ---- what the program asks for --------------------------------------------------------------------

/** @returns {?{min: string, max: string}} null for what is not there natively */
function versions({ minVersion, maxVersion }) {
  const min = VERSIONS.indexOf(minVersion ?? tls.DEFAULT_MIN_VERSION);
  const max = VERSIONS.indexOf(maxVersion ?? tls.DEFAULT_MAX_VERSION);
  if (min < 0 || max < min) return null;
  return { tls12: min === 0, tls13: max === 1 };
}

/** @returns {?Buffer[]} */
function protocols(given) {
  if (given === undefined) return [];
  if (Array.isArray(given)) {
    const names = given.map((name) => (typeof name === 'string' ? Buffer.from(name) : name));
    const fit = names.every(
      (name) => Buffer.isBuffer(name) && name.length > 0 && name.length < 256,
    );
    return fit ? names : null;
  }
  if (!Buffer.isBuffer(given)) return null;
  // As on the wire: a byte for the length before each name.
  const names = [];
  for (let at = 0; at < given.length; at += 1 + given[at]) {
    const name = given.subarray(at + 1, at + 1 + given[at]);
    if (name.length === 0 || name.length !== given[at]) return null;
    names.push(name);
  }
  return names;
}

/** @returns {?{cert?: Buffer, key?: Buffer}} null if it takes OpenSSL to use them */
function identity({ cert, key }, trust, explicit) {
  if (!cert && !key) return {};
  const chains = cert && texts(cert);
  const keys = key && texts(key);
  if (chains?.length !== 1 || keys?.length !== 1 || keys[0].includes('ENCRYPTED')) return null;
  const chain = certificates(chains);
  if (chain === null) return null;
  // OpenSSL completes a chain from what it trusts.
  if (explicit && chain.length === 1 && !trust.certificates.every(selfIssued)) return null;
  return { cert: Buffer.from(chain.join('\n')), key: Buffer.from(keys[0]) };
}

/** On Bun and Deno TLS is the runtime's own: what its defaults are, and whom it trusts, is not what Node's are. */
const ON_NODE = process.versions.bun === undefined && process.versions.deno === undefined;

/** Whether Node's defaults are what they are out of the box. */
function usualDefaults() {
  const { defaultCoreCipherList } = crypto.constants;
  return (
    ON_NODE &&
    process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0' &&
    (defaultCoreCipherList === undefined || tls.DEFAULT_CIPHERS === defaultCoreCipherList) &&
    (tls.DEFAULT_ECDH_CURVE === undefined || tls.DEFAULT_ECDH_CURVE === 'auto') &&
    !(crypto.getFips?.() > 0)
  );
}

/**
 * Makes ready for a connection as `tls.connect(options)` would make it.
 *
 * @param {object} given the program's `ssl_options`
 * @param {string|undefined} host the host's name or address; undefined for a path
 * @param {number} handshakeTimeout in ms
 * @returns {?Plan} null if it takes OpenSSL
 * @throws {TypeError} for an option that nobody heeds
 */
function plan(given, host, handshakeTimeout) {
  for (const name of GONE_OPTIONS) {
    if (given[name] !== undefined) throw unsupported(name);
  }
  const asked = Object.keys(given).filter((name) => given[name] !== undefined);
  if (!asked.every((name) => NATIVE_OPTIONS.has(name)) || !usualDefaults()) return null;
  const check = 'checkServerIdentity' in given ? given.checkServerIdentity : null;
  if (check !== null && typeof check !== 'function') return null;
  const { servername = '' } = given;
  if (typeof servername !== 'string' || net.isIP(servername) !== 0) return null;
  const range = versions(given);
  const names = protocols(given.ALPNProtocols);
  const trust = given.ca ? trustIn(given.ca) : usualTrust();
  const own = trust && identity(given, trust, Boolean(given.ca));
  if (!range || !names || !trust || !own) return null;
  let client;
  try {
    client = new native.TlsClient(trust.native, {
      ...own,
      ...range,
      ...(servername && { servername }),
      protocols: names,
      handshakeTimeout,
    });
  } catch {
    // A key of a kind that ring has not, a certificate that does not go with it: Node knows what to say.
    return null;
  }
  return new Plan(client, trust, {
    servername,
    hostname: servername || host || 'localhost',
    reject: given.rejectUnauthorized !== false,
    check,
  });
}

function unsupported(name) {
  const err = new TypeError(
    `The "options.ssl_options.${name}" property is not supported: neither this package nor this version of Node has it`,
  );
  err.code = 'ERR_INVALID_ARG_VALUE';
  return err;
}

// ---- what came of it ------------------------------------------------------------------------------

/** A connection as the program wants it, and the judge of the server's certificate. */
class Plan {
  #trust;
  #hostname;
  #reject;
  #check;

  constructor(client, trust, { servername, hostname, reject, check }) {
    /** For the native side. */
    this.client = client;
    this.servername = servername;
    this.#trust = trust;
    this.#hostname = hostname;
    this.#reject = reject;
    this.#check = check;
  }

  /**
   * Decides on a server after the handshake, as Node does.
   *
   * @param {object} agreement what the native side agreed on with it
   * @returns {{again: true}|{error: Error}|{details: Details}} `again`: OpenSSL has to see it; `error`: it is
   *   not accepted; otherwise what the program may learn of it
   */
  judge(agreement) {
    const chain = agreement.certificates.map(parse);
    if (chain.length === 0 || chain.includes(null)) return { again: true };
    let error = null;
    if (!agreement.trusted && !this.#vouchesForItself(chain[0])) {
      const code = this.#refusal(chain);
      if (code === null || (this.#reject && !REFUSALS[code])) return { again: true };
      error = Object.assign(new Error(REFUSALS[code] ?? code), { code });
    }
    const details = new Details(agreement, chain, this.#trust, this.servername);
    if (error === null) {
      error = this.#check
        ? this.#check(this.#hostname, details.peerCertificate(true))
        : tls.checkServerIdentity(this.#hostname, details.peerCertificate(false));
    }
    if (!error) return { details };
    if (this.#reject) return { error };
    details.authorizationError = error.code || error.message;
    return { details };
  }

  /** Whether the server's certificate issued itself, and is trusted as it is. */
  #vouchesForItself(leaf) {
    return (
      untimely(leaf) === null &&
      (leaf.keyUsage === undefined || leaf.keyUsage.includes(SERVER_AUTHENTICATION)) &&
      selfIssued(leaf) &&
      this.#trust.has(leaf)
    );
  }

  /** What OpenSSL calls that which is wrong with a chain; null if that is not for certain. */
  #refusal([leaf, ...sent]) {
    // OpenSSL looks on to the end; the last fault is the one it tells, and dates of the leaf come last.
    const code = untimely(leaf);
    if (code !== null) return code;
    if (!this.#trust.certain) return null;
    const path = [leaf];
    for (;;) {
      const last = path[path.length - 1];
      if (this.#trust.has(last) || this.#trust.issuerOf(last) || untimely(last)) return null;
      if (selfIssued(last)) {
        return path.length === 1 ? 'DEPTH_ZERO_SELF_SIGNED_CERT' : 'SELF_SIGNED_CERT_IN_CHAIN';
      }
      const issuer = sent.find((other) => !path.includes(other) && last.checkIssued(other));
      if (issuer === undefined) {
        return path.length === 1
          ? 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
          : 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY';
      }
      path.push(issuer);
    }
  }
}

/** What is wrong with a certificate at this time of day, if anything. */
function untimely({ validFrom, validTo }) {
  const now = wallClock();
  if (now < Date.parse(validFrom)) return 'CERT_NOT_YET_VALID';
  // The second it ends in still counts.
  return now >= Date.parse(validTo) + 1000 ? 'CERT_HAS_EXPIRED' : null;
}

/** What a program may ask of a secure socket. */
class Details {
  #chain;
  #trust;
  authorizationError = null;

  constructor(agreement, chain, trust, servername) {
    this.#chain = chain;
    this.#trust = trust;
    this.protocol = agreement.tls13 ? 'TLSv1.3' : 'TLSv1.2';
    this.cipher = cipherOf(agreement.cipher, this.protocol);
    this.alpnProtocol = agreement.protocol?.toString() ?? false;
    this.servername = servername || false;
  }

  get leaf() {
    return this.#chain[0];
  }

  /** As `tls.TLSSocket.getPeerCertificate()`: with `detailed`, linked to those that issued it. */
  peerCertificate(detailed) {
    const leaf = this.leaf.toLegacyObject();
    if (!detailed) return leaf;
    const rest = this.#chain.slice(1);
    let last = this.leaf;
    let object = leaf;
    for (;;) {
      if (selfIssued(last)) {
        object.issuerCertificate = object;
        return leaf;
      }
      let next = rest.findIndex((other) => last.checkIssued(other));
      if (next >= 0) [last] = rest.splice(next, 1);
      else {
        next = this.#trust.issuerOf(last);
        if (next === undefined) return leaf;
        last = next;
      }
      object.issuerCertificate = last.toLegacyObject();
      object = object.issuerCertificate;
    }
  }
}

/** The cipher suites there are natively: number, name in the standard, name in OpenSSL. */
const CIPHERS = new Map([
  [0x1301, ['TLS_AES_128_GCM_SHA256']],
  [0x1302, ['TLS_AES_256_GCM_SHA384']],
  [0x1303, ['TLS_CHACHA20_POLY1305_SHA256']],
  [0xc02b, ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256']],
  [0xc02c, ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384']],
  [0xc02f, ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256']],
  [0xc030, ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384']],
  [0xcca8, ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305']],
  [0xcca9, ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305']],
]);

function cipherOf(number, version) {
  const [standardName, name = standardName] = CIPHERS.get(number) ?? [`0x${number.toString(16)}`];
  return { name, standardName, version };
}

// ---- failures -------------------------------------------------------------------------------------

/** The alerts of TLS as OpenSSL words them; those above 255 are this side's own findings. */
const REASONS = {
  10: 'sslv3 alert unexpected message',
  20: 'sslv3 alert bad record mac',
  21: 'tlsv1 alert decryption failed',
  22: 'tlsv1 alert record overflow',
  30: 'sslv3 alert decompression failure',
  40: 'sslv3 alert handshake failure',
  41: 'sslv3 alert no certificate',
  42: 'sslv3 alert bad certificate',
  43: 'sslv3 alert unsupported certificate',
  44: 'sslv3 alert certificate revoked',
  45: 'sslv3 alert certificate expired',
  46: 'sslv3 alert certificate unknown',
  47: 'sslv3 alert illegal parameter',
  48: 'tlsv1 alert unknown ca',
  49: 'tlsv1 alert access denied',
  50: 'tlsv1 alert decode error',
  51: 'tlsv1 alert decrypt error',
  70: 'tlsv1 alert protocol version',
  71: 'tlsv1 alert insufficient security',
  80: 'tlsv1 alert internal error',
  86: 'tlsv1 alert inappropriate fallback',
  90: 'tlsv1 alert user cancelled',
  100: 'tlsv1 alert no renegotiation',
  109: 'tlsv13 alert missing extension',
  110: 'tlsv1 unsupported extension',
  112: 'tlsv1 unrecognized name',
  113: 'tlsv1 bad certificate status response',
  116: 'tlsv13 alert certificate required',
  120: 'tlsv1 alert no application protocol',
  256: 'decryption failed or bad record mac',
  257: 'wrong version number',
  258: 'unexpected message',
};

/**
 * The error of a connection that TLS itself gave up.
 *
 * @param {number} number of the alert the server sent, or of what this side found
 * @returns {Error} with `code`, `reason` and `library` as Node has them
 */
function failure(number) {
  let reason = REASONS[number] ?? `tls alert ${number}`;
  const [major, minor] = (process.versions.openssl ?? '3.0').split('.');
  // So it is called from OpenSSL 3.2 on.
  if (Number(major) * 100 + Number(minor) >= 302) reason = reason.replace(/^sslv3 /, 'ssl/tls ');
  const alert = number < 256 ? `:SSL alert number ${number}` : '';
  return Object.assign(new Error(`SSL routines::${reason}${alert}`), {
    library: 'SSL routines',
    reason,
    code: `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`,
  });
}

/** A handshake that took longer than `handshake_timeout`. */
function handshakeTimedOut() {
  return Object.assign(new Error('TLS handshake timeout'), { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' });
}

module.exports = { plan, failure, handshakeTimedOut };
