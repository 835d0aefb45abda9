'use strict';

const crypto = require('node:crypto');

const { wallClock } = require('../real-timers.js');

const PEM_BLOCK = /-----BEGIN ([^\r\n]+)-----[\s\S]*?-----END \1-----/g;

/**
 * @param {*} value one text or bytes, or a list of them
 * @returns {?string[]} the texts; null if there is anything else
 */
function textsOf(value) {
  const list = Array.isArray(value) ? value : [value];
  const texts = [];
  for (const item of list) {
    if (typeof item === 'string') texts.push(item);
    else if (ArrayBuffer.isView(item)) {
      texts.push(Buffer.from(item.buffer, item.byteOffset, item.byteLength).toString('latin1'));
    } else return null;
  }
  return texts;
}

/**
 * @param {string[]} texts in PEM
 * @returns {?string[]} the certificates, one by one; null if a text has anything else in it, or
 *   nothing
 */
function certificatesIn(texts) {
  const certificates = [];
  for (const text of texts) {
    const blocks = [...text.matchAll(PEM_BLOCK)];
    if (blocks.length === 0 || blocks.length !== text.split('-----BEGIN ').length - 1) return null;
    for (const [pem, label] of blocks) {
      if (label !== 'CERTIFICATE') return null;
      certificates.push(pem);
    }
  }
  return certificates;
}

/** @returns {?crypto.X509Certificate} null if it cannot be parsed */
function parseCertificate(pemOrDer) {
  try {
    return new crypto.X509Certificate(pemOrDer);
  } catch {
    return null;
  }
}

/** @param {crypto.X509Certificate} certificate */
const isSelfIssued = (certificate) => certificate.subject === certificate.issuer;

/** @returns {?string} the code of OpenSSL if a certificate is not valid at this time */
function dateError({ validFrom, validTo }) {
  const now = wallClock();
  if (now < Date.parse(validFrom)) return 'CERT_NOT_YET_VALID';
  // The certificate is valid in its last second.
  return now >= Date.parse(validTo) + 1000 ? 'CERT_HAS_EXPIRED' : null;
}

module.exports = { certificatesIn, dateError, isSelfIssued, parseCertificate, textsOf };
