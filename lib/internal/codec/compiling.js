'use strict';

/*
 * Names of properties come from peers. They become a part of compiled code only if they consist of
 * these characters, and only between quotes. Loops serve other names, and processes that must not
 * compile strings.
 *
 * Compiling the function of a shape takes as long as reading up to 140 objects with a loop. So a
 * process compiles a limited number of functions at first use, and each further one only when loops
 * have served OBJECTS_PER_FUNCTION more objects. Peers that keep sending new shapes, on any number
 * of connections, therefore cause little more work than the loops do.
 */

const PLAIN_NAME = /^[\w $.:@/-]{1,64}$/;

/** A shape is compiled when a loop has read, or written, this many of its objects. */
const COMPILED_AFTER = 16;
/** How many functions a process may compile at any time, if loops have served enough objects. */
const MAX_CREDIT = 256;
const OBJECTS_PER_FUNCTION = 512;

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

/** The functions that one direction of all connections may compile. */
class CompilationBudget {
  #credit = MAX_CREDIT;
  #objects = 0;

  /** A loop has served that many objects. */
  earn(objects) {
    this.#objects += objects;
    if (this.#objects < OBJECTS_PER_FUNCTION) return;
    this.#objects -= OBJECTS_PER_FUNCTION;
    if (this.#credit < MAX_CREDIT) this.#credit += 1;
  }

  /** @returns {boolean} whether a function may be compiled; then it counts as compiled */
  spend() {
    if (this.#credit === 0) return false;
    this.#credit -= 1;
    return true;
  }
}

module.exports = {
  COMPILED_AFTER,
  CompilationBudget,
  MAX_CREDIT,
  OBJECTS_PER_FUNCTION,
  areCompilable,
};
