'use strict';

/**
 * An error of this package; its `code` distinguishes it from others. The `name` stays `Error`,
 * because programs print and compare the result of `String(err)`.
 *
 * @property {string} [code] one of the codes of API.md
 */
class SockhopError extends Error {
  /**
   * @param {string} message
   * @param {string} [code]
   * @param {{cause?: unknown}} [options] as `Error` takes them
   */
  constructor(message, code, options) {
    super(message, options);
    this.code = code;
  }
}

module.exports = SockhopError;
