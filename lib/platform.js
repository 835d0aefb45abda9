'use strict';

const fs = require('node:fs');

/**
 * The C library a Linux process runs on. A binding built against the other one cannot be loaded.
 * @returns {'gnu' | 'musl'}
 */
function libc() {
  const { report } = process;
  if (report?.getReport) {
    // Without this the report resolves the names of all network peers, which can take seconds.
    const before = report.excludeNetwork;
    report.excludeNetwork = true;
    const { header } = report.getReport();
    report.excludeNetwork = before;
    if (header?.glibcVersionRuntime) return 'gnu';
  }
  try {
    return fs.readdirSync('/lib').some((name) => name.startsWith('ld-musl-')) ? 'musl' : 'gnu';
  } catch {
    return 'gnu';
  }
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
