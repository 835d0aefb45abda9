'use strict';

const fs = require('node:fs');
const path = require('node:path');

/**
 * The directory of the package. In a bundle that is not a directory of the package, and in an ES
 * module not even known.
 */
const PACKAGE_ROOT =
  typeof __dirname === 'string' ? path.join(__dirname, '..', '..', '..') : process.cwd();

/**
 * The platforms that have a package of their own, `sockhop-native-<tag>`, in the spelling of
 * napi-rs.
 */
const PLATFORM_TAGS = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm-gnueabihf',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-arm64-msvc',
  'win32-x64-msvc',
];

const ELF_MAGIC = 0x7f454c46;
const ELF_64_BIT = 2;
const ELF_LITTLE_ENDIAN = 1;
const PT_INTERP = 3;

function readBytes(file, position, length) {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, fs.readSync(file, bytes, 0, length, position));
}

/**
 * Reads the path of the dynamic loader from the program headers of an ELF file. Tools that patch
 * executables move it to the end of the file.
 * @param {number} file a descriptor
 * @returns {string | null} null for a file that names none: one that is linked statically, or is not an ELF file
 */
function dynamicLoader(file) {
  const header = readBytes(file, 0, 64);
  if (header.length < 64 || header.readUInt32BE(0) !== ELF_MAGIC) return null;
  if (header[5] !== ELF_LITTLE_ENDIAN) return null;
  const wide = header[4] === ELF_64_BIT;
  const readWord = (bytes, offset) =>
    wide ? Number(bytes.readBigUInt64LE(offset)) : bytes.readUInt32LE(offset);

  const tableOffset = readWord(header, wide ? 32 : 28);
  const entrySize = header.readUInt16LE(wide ? 54 : 42);
  const entryCount = header.readUInt16LE(wide ? 56 : 44);
  const table = readBytes(file, tableOffset, entrySize * entryCount);
  for (let start = 0; start + entrySize <= table.length; start += entrySize) {
    const entry = table.subarray(start, start + entrySize);
    if (entry.readUInt32LE(0) !== PT_INTERP) continue;
    const position = readWord(entry, wide ? 8 : 4);
    const length = readWord(entry, wide ? 32 : 16);
    return readBytes(file, position, Math.min(length, 4096)).toString().replace(/\0.*$/s, '');
  }
  return null;
}

/** Whether the libraries that the process has loaded include musl. Takes several milliseconds. */
function reportNamesMusl() {
  const { report } = process;
  const { excludeNetwork } = report;
  // Without this, a report resolves the peer of every open connection to a host name.
  report.excludeNetwork = true;
  try {
    const { sharedObjects = [] } = report.getReport();
    return sharedObjects.some((name) => /\b(ld-|libc\.)musl-/.test(name));
  } finally {
    report.excludeNetwork = excludeNetwork;
  }
}

/**
 * The C library a Linux process runs on: a binding built against the other one does not load. The
 * executable names its dynamic loader (`/lib/ld-musl-x86_64.so.1`). If it cannot be read, or names
 * none because the loader itself was started with Node as its argument, a diagnostic report lists
 * the loaded libraries.
 * @returns {'gnu' | 'musl'}
 */
function libc() {
  try {
    const file = fs.openSync(process.execPath, 'r');
    try {
      const loader = dynamicLoader(file);
      if (loader !== null) return loader.includes('ld-musl-') ? 'musl' : 'gnu';
    } finally {
      fs.closeSync(file);
    }
  } catch {
    // The executable may be run but not read.
  }
  try {
    return reportNamesMusl() ? 'musl' : 'gnu';
  } catch {
    // This runtime has no diagnostic reports. Most systems have glibc.
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

/**
 * @param {string} tag as `platformTag()` gives it
 * @returns {string} the name of the package that contains the binding for that platform
 */
function bindingPackageName(tag) {
  return `sockhop-native-${tag}`;
}

module.exports = { bindingFileName, bindingPackageName, PACKAGE_ROOT, PLATFORM_TAGS, platformTag };
