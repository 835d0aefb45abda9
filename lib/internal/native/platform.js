'use strict';

const fs = require('node:fs');

/**
 * The C library a Linux process runs on: a binding built against the other one does not load. The
 * head of an executable names its dynamic loader (`/lib/ld-musl-x86_64.so.1`), and is read at once;
 * `process.report` knows it too, but takes several milliseconds.
 * @returns {'gnu' | 'musl'}
 */
function libc() {
  const head = Buffer.alloc(4096);
  try {
    const file = fs.openSync(process.execPath, 'r');
    try {
      fs.readSync(file, head, 0, head.length, 0);
    } finally {
      fs.closeSync(file);
    }
  } catch {
    // An executable that may be run but not read; most systems have glibc.
  }
  return head.includes('/ld-musl-') ? 'musl' : 'gnu';
}

/**
 * The tag that names the binding of the running platform, in the spelling of napi-rs:
 * `linux-x64-gnu`, `linux-arm64-musl`, `darwin-arm64`, ...
 * @returns {string}
 */
function platformTag() {
  const { platform, arch } = process;
  if (platform === 'linux') {
    const abi = libc();
    return `linux-${arch}-${arch === 'arm' ? `${abi}eabihf` : abi}`;
  }
  if (platform === 'win32') return `win32-${arch}-msvc`;
  return `${platform}-${arch}`;
}

/**
 * @param {string} tag as `platformTag()` gives it
 * @returns {string} the file name of the binding for that platform
 */
function bindingFileName(tag) {
  return `sockhop-native.${tag}.node`;
}

module.exports = { bindingFileName, platformTag };
