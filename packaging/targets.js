/**
 * The platforms that have a package of their own, `sockhop-native-<tag>`.
 *
 * @typedef {object} Target
 * @property {string} tag in the spelling of napi-rs; `PLATFORM_TAGS` of the loader has the same
 * @property {string} triple of Rust
 * @property {string} os as `process.platform`
 * @property {string} cpu as `process.arch`
 * @property {'glibc' | 'musl'} [libc]
 */

/** Distributions that Node 18 and newer support have this version of glibc or a later one. */
const OLDEST_GLIBC = '2.17';

/** @type {Target[]} */
const TARGETS = [
  { tag: 'darwin-arm64', triple: 'aarch64-apple-darwin', os: 'darwin', cpu: 'arm64' },
  { tag: 'darwin-x64', triple: 'x86_64-apple-darwin', os: 'darwin', cpu: 'x64' },
  {
    tag: 'linux-arm-gnueabihf',
    triple: 'armv7-unknown-linux-gnueabihf',
    os: 'linux',
    cpu: 'arm',
    libc: 'glibc',
  },
  {
    tag: 'linux-arm64-gnu',
    triple: 'aarch64-unknown-linux-gnu',
    os: 'linux',
    cpu: 'arm64',
    libc: 'glibc',
  },
  {
    tag: 'linux-arm64-musl',
    triple: 'aarch64-unknown-linux-musl',
    os: 'linux',
    cpu: 'arm64',
    libc: 'musl',
  },
  {
    tag: 'linux-x64-gnu',
    triple: 'x86_64-unknown-linux-gnu',
    os: 'linux',
    cpu: 'x64',
    libc: 'glibc',
  },
  {
    tag: 'linux-x64-musl',
    triple: 'x86_64-unknown-linux-musl',
    os: 'linux',
    cpu: 'x64',
    libc: 'musl',
  },
  { tag: 'win32-arm64-msvc', triple: 'aarch64-pc-windows-msvc', os: 'win32', cpu: 'arm64' },
  { tag: 'win32-x64-msvc', triple: 'x86_64-pc-windows-msvc', os: 'win32', cpu: 'x64' },
];

/**
 * @param {string} tag
 * @returns {Target}
 */
function targetOf(tag) {
  const target = TARGETS.find((candidate) => candidate.tag === tag);
  if (target) return target;
  throw new Error(`"${tag}" is none of ${TARGETS.map((candidate) => candidate.tag).join(', ')}`);
}

module.exports = { OLDEST_GLIBC, TARGETS, targetOf };
