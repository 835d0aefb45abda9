'use strict';

// Certificates of every kind, made when they are asked for.

const { createPrivateKey, randomBytes, sign, webcrypto } = require('node:crypto');
const x509 = require('@peculiar/x509');

x509.cryptoProvider.set(webcrypto);

const DAY = 24 * 60 * 60 * 1000;
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength: 2048,
};

/** How keys are made and used: `rsa` is the number of bits, or true for the usual one. */
const algorithmOf = (rsa) => {
  if (!rsa) return ECDSA;
  return rsa === true ? RSA : { ...RSA, modulusLength: rsa };
};

/** Days from now, where `days` may be negative. */
const daysFromNow = (days) => new Date(Date.now() + days * DAY);

/** A positive number of eight bytes in its shortest form, which DER requires. */
function serialNumber() {
  const bytes = randomBytes(8);
  bytes[0] = (bytes[0] & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/**
 * A certificate and its key.
 *
 * @param {object} options
 * @param {string} options.name the common name
 * @param {string[]} [options.names] alternative names; an IP address becomes one of its kind
 * @param {Issued} [options.issuer] the issuer; the certificate is self-signed without one
 * @param {boolean} [options.ca] whether it is the certificate of an authority
 * @param {[number, number]} [options.days] valid from and to, in days from now
 * @param {string[]} [options.purposes] extended key usages, as OIDs
 * @param {number} [options.usage] key usages, as flags
 * @param {number} [options.pathLength] of authorities below this one
 * @param {object[]} [options.extensions] further ones
 * @param {boolean|number} [options.rsa] an RSA key instead of one on P-256, of so many bits
 * @returns {Promise<Issued>}
 *
 * @typedef {{cert: string, key: string, certificate: object, keys: object, rsa: boolean, exportKey:
 *   Function}} Issued
 */
async function issue({
  name,
  names,
  issuer,
  ca = false,
  days = [-1, 30],
  purposes,
  usage,
  pathLength,
  extensions: further = [],
  rsa = false,
}) {
  const keys = await webcrypto.subtle.generateKey(algorithmOf(rsa), true, ['sign', 'verify']);
  const extensions = [new x509.BasicConstraintsExtension(ca, pathLength, true), ...further];
  if (usage) extensions.push(new x509.KeyUsagesExtension(usage, true));
  if (names) {
    const isAddress = (text) => /^[\d.]+$|:/.test(text);
    extensions.push(
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isAddress(value) ? 'ip' : 'dns', value })),
      ),
    );
  }
  if (purposes) extensions.push(new x509.ExtendedKeyUsageExtension(purposes));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${name}`,
    issuer: issuer ? issuer.certificate.subject : `CN=${name}`,
    notBefore: daysFromNow(days[0]),
    notAfter: daysFromNow(days[1]),
    publicKey: keys.publicKey,
    signingKey: (issuer ?? { keys }).keys.privateKey,
    signingAlgorithm: algorithmOf(issuer?.rsa ?? rsa),
    extensions,
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  return {
    rsa,
    keys,
    certificate,
    cert: `${certificate.toString('pem')}\n`,
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    exportKey: (options) => key.export({ format: 'pem', ...options }),
  };
}

/** A value in DER. */
function der(tag, ...parts) {
  const body = Buffer.concat(parts);
  const { length } = body;
  // DER requires the shortest form of a length.
  const more = length < 256 ? [0x81] : [0x82, length >> 8];
  return Buffer.concat([Buffer.of(tag, ...(length < 128 ? [] : more), length & 0xff), body]);
}

/** The values that a sequence in DER consists of. */
function partsOf(sequence) {
  const lengthAt = (at) => {
    const first = sequence[at + 1];
    const count = first < 128 ? 0 : first - 128;
    const length = count === 0 ? first : sequence.readUIntBE(at + 2, count);
    return [at + 2 + count, length];
  };
  const parts = [];
  for (let [at] = lengthAt(0); at < sequence.length; ) {
    const [begin, length] = lengthAt(at);
    parts.push(sequence.subarray(at, begin + length));
    at = begin + length;
  }
  return parts;
}

/**
 * The same certificate in version 1, which has no extensions; `openssl x509 -req` makes such
 * certificates.
 *
 * @param {Issued} issued
 * @param {Issued} issuer with a key on P-256
 * @returns {Issued}
 */
function inVersion1(issued, issuer) {
  const [fields, algorithm] = partsOf(Buffer.from(issued.certificate.rawData));
  // The version and the extensions have these tags.
  const kept = partsOf(fields).filter(([tag]) => tag !== 0xa0 && tag !== 0xa3);
  const unsigned = der(0x30, ...kept);
  const signature = sign('sha256', unsigned, issuer.key);
  const whole = der(0x30, unsigned, algorithm, der(3, Buffer.of(0), signature));
  const lines = whole.toString('base64').match(/.{1,64}/g);
  const text = lines.join('\n');
  return { ...issued, cert: `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n` };
}

/** A root, a certificate of an authority below it, and one for localhost from that authority. */
async function hierarchy(house = 'Test') {
  const root = await issue({ name: `${house} Root`, ca: true });
  const between = await issue({ name: `${house} Authority`, ca: true, issuer: root });
  const server = await issue({
    name: 'localhost',
    names: ['localhost', '127.0.0.1'],
    issuer: between,
  });
  return { root, between, server, chain: server.cert + between.cert };
}

/**
 * A list of revoked certificates.
 *
 * @param {Issued} issuer
 * @param {Issued[]} revoked
 * @param {[number, number]} [days] valid from and to, in days from now
 * @returns {Promise<string>} in PEM
 */
async function revocationList(issuer, revoked, days = [-1, 30]) {
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.certificate.subject,
    thisUpdate: daysFromNow(days[0]),
    nextUpdate: daysFromNow(days[1]),
    entries: revoked.map(({ certificate }) => ({ serialNumber: certificate.serialNumber })),
    // The number 1, without which the list would be one of the old version.
    extensions: [new x509.Extension('2.5.29.20', false, Uint8Array.of(2, 1, 1))],
    signingAlgorithm: issuer.rsa ? RSA : ECDSA,
    signingKey: issuer.keys.privateKey,
  });
  // The label that OpenSSL knows.
  return `${list.toString('pem').replaceAll(/(X509 )?CRL-----/g, 'X509 CRL-----')}\n`;
}

module.exports = { hierarchy, inVersion1, issue, revocationList };
