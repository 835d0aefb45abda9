'use strict';

const endings = new WeakMap();

/**
 * Registers a function for the end of the test. The last one runs first, so that clients end before
 * their servers.
 *
 * @param {object} t the test context
 * @param {() => any} ending
 */
function cleanup(t, ending) {
  if (!endings.has(t)) {
    const list = [];
    endings.set(t, list);
    t.after(async () => {
      const failures = [];
      for (const each of list.reverse()) {
        try {
          await each();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    });
  }
  endings.get(t).push(ending);
}

module.exports = { cleanup };
