'use strict';

/*
 * Names of properties come from peers. They become a part of compiled code only if they consist of
 * these characters, and only between quotes; other names, and processes that forbid to compile
 * strings, are served by loops.
 */

const PLAIN_NAME = /^[\w $.:@/-]{1,64}$/;

const mayCompile = (() => {
  try {
    return new Function('return true')();
  } catch {
    return false;
  }
})();

/**
 * @param {string[]} names of properties
 * @returns {boolean} whether code with these names may be compiled
 */
function areCompilable(names) {
  // As a literal, `__proto__` would set the prototype.
  return mayCompile && names.every((name) => PLAIN_NAME.test(name) && name !== '__proto__');
}

module.exports = { areCompilable };
