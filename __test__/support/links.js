'use strict';

const path = require('node:path');

/** The anchor of each heading, as it is made from the heading's text, and the anchors that a text sets itself. */
function anchorsIn(text) {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  );
  return [...headings, ...[...text.matchAll(/<a name="([^"]+)">/g)].map(([, name]) => name)];
}

/**
 * The relative links of documents that lead to no file, directory or heading.
 *
 * @param {string[]} documents their paths
 * @param {{read: function(string): string, exists: function(string): boolean}} files by the same paths
 * @returns {string[]} each with its document
 */
function brokenLinks(documents, { read, exists }) {
  return documents.flatMap((document) =>
    [...read(document).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target)
      .filter((target) => !/^https?:/.test(target))
      .filter((target) => {
        const [name, anchor] = target.split('#');
        const file = name === '' ? document : path.posix.join(path.posix.dirname(document), name);
        if (!exists(file)) return true;
        return anchor !== undefined && !anchorsIn(read(file)).includes(anchor);
      })
      .map((target) => `${document}: ${target}`),
  );
}

module.exports = { brokenLinks };
