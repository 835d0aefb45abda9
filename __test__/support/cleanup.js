'use strict';

const endings = new WeakMap();

/**
 * Has something done at the end of the test; what was registered last is done first, so that
 * clients go before the servers they are connected to.
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
