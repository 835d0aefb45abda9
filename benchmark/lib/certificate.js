/**
 * Creates a certificate authority and a certificate for 127.0.0.1 and localhost. They are created
 * for each run, so that the repository contains no keys and no certificate can expire.
 */

const crypto = require('node:crypto');

const OID_ECDSA_SHA256 = '06082a8648ce3d040302';
const OID_COMMON_NAME = '0603550403';
const OID_BASIC_CONSTRAINTS = '0603551d13';
const OID_ALT_NAME = '0603551d11';

/** @returns {{ca: string, cert: string, key: string}} all in PEM format */
function createCertificates() {
  const authority = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = 'sockhop-native benchmark';
  const constraints = extension(OID_BASIC_CONSTRAINTS, true, sequence(tlv(0x01, [0xff])));
  const alternatives = extension(
    OID_ALT_NAME,
    false,
    sequence(tlv(0x82, Buffer.from('localhost')), tlv(0x87, [127, 0, 0, 1])),
  );
  const sign = (subject, key, extensions) =>
    certificate({ issuer: name, subject, key, signer: authority.privateKey, extensions });
  return {
    ca: sign(name, authority.publicKey, [constraints]),
    cert: sign('localhost', server.publicKey, [alternatives]),
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

function certificate({ issuer, subject, key, signer, extensions }) {
  const algorithm = sequence(raw(OID_ECDSA_SHA256));
  const day = 24 * 3600 * 1000;
  const body = sequence(
    tlv(0xa0, tlv(0x02, [2])),
    tlv(0x02, Buffer.concat([Buffer.from([1]), crypto.randomBytes(15)])),
    algorithm,
    distinguishedName(issuer),
    sequence(utcTime(Date.now() - day), utcTime(Date.now() + 30 * day)),
    distinguishedName(subject),
    key.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  const signature = crypto.sign('sha256', body, signer);
  const der = sequence(body, algorithm, tlv(0x03, Buffer.concat([Buffer.alloc(1), signature])));
  const base64 = der.toString('base64').replace(/.{1,64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${base64}-----END CERTIFICATE-----\n`;
}

function distinguishedName(name) {
  return sequence(tlv(0x31, sequence(raw(OID_COMMON_NAME), tlv(0x0c, Buffer.from(name)))));
}

function extension(oid, critical, value) {
  const parts = [raw(oid), tlv(0x04, value)];
  if (critical) {
    parts.splice(1, 0, tlv(0x01, [0xff]));
  }
  return sequence(...parts);
}

/** YYMMDDHHMMSSZ */
function utcTime(ms) {
  const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14);
  return tlv(0x17, Buffer.from(`${digits}Z`));
}

function sequence(...parts) {
  return tlv(0x30, Buffer.concat(parts));
}

function raw(hex) {
  return Buffer.from(hex, 'hex');
}

function tlv(tag, content) {
  const body = Buffer.from(content);
  let length = [body.length];
  if (body.length > 0xff) {
    length = [0x82, body.length >> 8, body.length & 0xff];
  } else if (body.length > 0x7f) {
    length = [0x81, body.length];
  }
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

module.exports = { createCertificates };
