'use strict';

const endings = new WeakMap();

/**
 * Has something done at the end of the test; what was registered last is done first, so that
 * clients go before the servers they are connected to.
 *
 * @param {object} t the test context
 * @param {() => any} ending
 */
function atEnd(t, ending) {
  if (!endings.has(t)) {
    const list = [];
    endings.set(t, list);
    t.after(async () => {
      for (const each of list.reverse()) await each();
    });
  }
  endings.get(t).push(ending);
}

module.exports = { atEnd };
