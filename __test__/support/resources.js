'use strict';

const fs = require('node:fs');

/**
 * Whether this system lists the descriptors and threads of a process. Wine shows Windows programs
 * those of Linux, which are others than theirs.
 */
const canCount =
  process.platform !== 'win32' &&
  fs.existsSync('/proc/self/fd') &&
  fs.existsSync('/proc/self/task');

/** @returns {{descriptors: number, threads: number}} those of this process */
function held() {
  return {
    descriptors: fs.readdirSync('/proc/self/fd').length,
    threads: fs.readdirSync('/proc/self/task').length,
  };
}

/** @returns {number} bytes of this process that are in memory */
function resident() {
  return process.memoryUsage.rss();
}

/** Describes the open descriptors, for a message. */
function descriptors() {
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return `${fd} ${fs.readlinkSync(`/proc/self/fd/${fd}`)}`;
    } catch {
      return []; // the one that was open for the listing
    }
  });
}

module.exports = { canCount, descriptors, held, resident };
