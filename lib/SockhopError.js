'use strict';

/**
 * An error of this package, told apart from others by its `code`.
 *
 * `name` stays `Error`: programs print and match what `String(err)` gives.
 *
 * @property {string} [code] what went wrong, for programs to compare with; API.md lists the codes
 */
class SockhopError extends Error {
  /**
   * @param {string} message what happened, for people
   * @param {string} [code] what happened, for programs
   * @param {{cause?: unknown}} [options] the error underneath, as `Error` takes it
   */
  constructor(message, code, options) {
    super(message, options);
    this.code = code;
  }
}

module.exports = SockhopError;
