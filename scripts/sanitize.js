'use strict';

// `npm run sanitize`: runs the native part under AddressSanitizer with LeakSanitizer, and then
// under ThreadSanitizer. Each runs the Rust tests, and tests of the package with the sanitizer
// loaded into Node.
//
//   npm run sanitize                    both sanitizers
//   npm run sanitize -- address         one sanitizer: address, thread
//   npm run sanitize -- --quick         fewer tests of the package
//   npm run sanitize -- --strict        a part that is left out is a failure
//   npm run sanitize -- --only rust     one part: rust, node
//   npm run sanitize -- --tests tls,tls-options   these test files of the package (the part node)
//
// It needs a nightly toolchain, whose sanitizer runtimes are linked into the Rust tests. Node is
// not built with a sanitizer, so the runtime is preloaded. For ASan it is that of the toolchain,
// converted to a shared library. The TSan runtime of the toolchain cannot be converted; that of GCC
// (the package libtsan) has the same interface.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { environment } = require('./build');

const ROOT = path.dirname(__dirname);
const HERE = path.join(__dirname, 'sanitizers');
const TARGET = 'x86_64-unknown-linux-gnu';
const CACHE = path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target'), 'sanitize');
const LIMIT_MS = 30 * 60 * 1000;
/**
 * The test files. Tests that measure time or memory are left out, because a sanitizer multiplies
 * both.
 */
const TESTS = {
  quick: ['client', 'server', 'callbacks', 'session', 'socket'],
  whole: [
    'adopt',
    'bad-input',
    'callbacks',
    'client',
    'cluster',
    'errors',
    'faults',
    'handlers',
    'idioms',
    'interop-framing',
    'interop-messages',
    'limits',
    'ping',
    'reconnect',
    'request',
    'server',
    'session',
    'socket',
    'tls',
    'tls-certificates',
    'tls-options',
    'workers',
  ],
};

class Missing extends Error {}

function run(command, env, options = {}) {
  const [program, ...args] = command;
  return spawnSync(program, args, {
    cwd: ROOT,
    env: { ...environment(), ...env },
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
    ...options,
  });
}

function must(command, env) {
  const { status, error, stdout, stderr } = run(command, env);
  if (error || status !== 0) {
    throw new Error(`${command.join(' ')} failed: ${error ?? ''}\n${stdout}\n${stderr}`);
  }
  return stdout;
}

function sysroot() {
  const { status, stdout } = run(['rustc', '+nightly', '--print', 'sysroot']);
  if (status !== 0)
    throw new Missing('there is no nightly toolchain (rustup toolchain install nightly)');
  return stdout.trim();
}

/**
 * Converts ASan's runtime to a shared library, without the parts that only a program can contain.
 */
function addressRuntime() {
  const archive = path.join(sysroot(), 'lib/rustlib', TARGET, 'lib/librustc-nightly_rt.asan.a');
  if (!fs.existsSync(archive)) throw new Missing(`the toolchain has no ${path.basename(archive)}`);
  const copy = path.join(CACHE, 'asan.a');
  // With its usual name, ASan would take the library for a second runtime.
  const library = path.join(CACHE, 'asan-runtime.so');
  fs.copyFileSync(archive, copy);
  const preinit = must(['ar', 't', copy])
    .split('\n')
    .filter((name) => name.includes('preinit'));
  must(['ar', 'd', copy, ...preinit]);
  const whole = ['-Wl,--whole-archive', copy, '-Wl,--no-whole-archive'];
  must(['cc', '-shared', '-o', library, ...whole, '-lpthread', '-ldl', '-lm', '-lrt', '-lresolv']);
  fs.rmSync(copy);
  return [library];
}

function threadRuntime() {
  const found = must(['cc', '-print-file-name=libtsan.so']).trim();
  const library = path.isAbsolute(found) && fs.existsSync(found) ? fs.realpathSync(found) : null;
  if (!library)
    throw new Missing("the C compiler has no libtsan.so (GCC's, in the package libtsan)");
  const shim = path.join(CACHE, 'libtsan-memory.so');
  const source = path.join(HERE, 'tsan-memory.c');
  must(['cc', '-shared', '-fPIC', '-fno-builtin', '-O1', '-o', shim, source]);
  return [library, shim];
}

/** The format of stack traces, with the module of each frame. */
const FORMAT = "stack_trace_format='    #%n %f %S (%m)'";

const SANITIZERS = {
  address: {
    name: 'AddressSanitizer and LeakSanitizer',
    flags: '-Zsanitizer=address',
    runtime: addressRuntime,
    rust: {
      ASAN_OPTIONS: 'detect_leaks=1',
      LSAN_OPTIONS: `suppressions=${path.join(HERE, 'lsan.txt')}:print_suppressions=0`,
    },
    // A report ends the process with this exit code. Leaks are read from the log, because most
    // belong to V8.
    node: (log) => ({
      ASAN_OPTIONS: `detect_leaks=1:log_path=${log}:exitcode=99:handle_segv=0:allow_user_segv_handler=1:fast_unwind_on_malloc=1:malloc_context_size=30:${FORMAT}`,
      LSAN_OPTIONS: `suppressions=${path.join(HERE, 'lsan.txt')}:print_suppressions=0:exitcode=0`,
    }),
  },
  thread: {
    name: 'ThreadSanitizer',
    // The standard library of the toolchain is not instrumented, except its generic code.
    flags:
      '-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer ' +
      // GCC's runtime does not understand the newer symbol names.
      '-Zunstable-options -Csymbol-mangling-version=legacy',
    runtime: threadRuntime,
    rust: { TSAN_OPTIONS: `suppressions=${path.join(HERE, 'tsan.txt')}:halt_on_error=0` },
    node: (log) => ({
      TSAN_OPTIONS:
        `suppressions=${path.join(HERE, 'tsan.txt')}:log_path=${log}:ignore_noninstrumented_modules=1:` +
        `report_signal_unsafe=0:exitcode=0:${FORMAT}`,
    }),
  },
};

/**
 * Makes tokio use the locks of parking_lot, which are instrumented. Those of the standard library
 * are not.
 */
const FEATURES = ['--features', 'tokio/parking_lot'];

const cargoEnvironment = (kind) => ({
  CARGO_TARGET_DIR: path.join(CACHE, kind),
  RUSTFLAGS: `${process.env.RUSTFLAGS ?? ''} ${SANITIZERS[kind].flags}`.trim(),
});

function rustTests(kind) {
  const command = [
    'cargo',
    '+nightly',
    'test',
    '--no-default-features',
    '--lib',
    '--target',
    TARGET,
    ...FEATURES,
  ];
  const env = { ...cargoEnvironment(kind), ...SANITIZERS[kind].rust };
  const { status, signal } = run([...command, '--', '--test-threads=2'], env, {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0 ? [] : [`the tests of Rust: ${signal ?? `exit code ${status}`}`];
}

function build(kind) {
  const args = ['build', '--lib', '--target', TARGET, ...FEATURES];
  const command = ['cargo', '+nightly', ...args, '--message-format=json-render-diagnostics'];
  const result = run(command, cargoEnvironment(kind), { stdio: ['ignore', 'pipe', 'inherit'] });
  if (result.status !== 0) throw new Error(`${command.join(' ')} failed`);
  const library = path.join(CACHE, kind, TARGET, 'debug', 'libsockhop_native.so');
  const binding = path.join(CACHE, `sockhop-native.${kind}.node`);
  fs.copyFileSync(library, `${binding}.${process.pid}`);
  fs.renameSync(`${binding}.${process.pid}`, binding);
  return binding;
}

/** The reports in the logs. The first line of each names its kind. */
function reports(directory) {
  return fs.readdirSync(directory).flatMap((name) => {
    const text = fs.readFileSync(path.join(directory, name), 'utf8');
    return text
      .split(/^(?==+\n|={3,}\d+==ERROR|WARNING: ThreadSanitizer|(?:Direct|Indirect) leak of)/m)
      .filter((part) => /ERROR: AddressSanitizer|WARNING: ThreadSanitizer|leak of \d/.test(part));
  });
}

/**
 * Frames of allocators and of compiled JavaScript, which has no names; below, frames of V8, Node
 * and libuv.
 */
const ALLOCATOR =
  /^(<null>|malloc|calloc|realloc|posix_memalign|aligned_alloc|operator new|__rust|__rdl|alloc::|<alloc::|std::)/;
const FOREIGN = /^(?:\w+ )*(v8::|node::|uv_|uv__|Builtins_|heap::|cppgc::)/;

/**
 * Whether a report concerns this package: the binding is on the stack, and leaked memory was not
 * allocated by V8, Node or libuv.
 */
function ours(report) {
  if (!/sockhop[-_]native/.test(report)) return false;
  if (!/leak of \d/.test(report)) return true;
  const frames = [...report.matchAll(/^ *#\d+ (.*)$/gm)].map(([, frame]) => frame);
  const first = frames.find((frame) => !ALLOCATOR.test(frame));
  return first !== undefined && !FOREIGN.test(first);
}

function nodeTests(kind, tests) {
  const { runtime, node } = SANITIZERS[kind];
  const preload = runtime();
  const binding = build(kind);
  const logs = fs.mkdtempSync(path.join(CACHE, `${kind}-log-`));
  const failures = [];
  try {
    const files = tests.map((name) => path.join(ROOT, '__test__', `${name}.test.js`));
    const env = {
      ...node(path.join(logs, 'report')),
      LD_PRELOAD: preload.join(' '),
      SOCKHOP_NATIVE_BINDING: binding,
      SOCKHOP_REPEAT: '2',
    };
    for (const file of files) {
      const began = Date.now();
      const { status, signal, stdout, stderr } = run(
        [process.execPath, '--test', '--test-reporter=tap', file],
        env,
      );
      const [, passed = '0'] = /^# pass (\d+)$/m.exec(stdout) ?? [];
      const seconds = ((Date.now() - began) / 1000).toFixed(1);
      const ran = status === 0 && passed !== '0';
      const verdict = ran ? '' : `, FAILED (${signal ?? `exit code ${status}`})`;
      console.log(
        `${kind}: ${path.basename(file)}: ${passed} tests passed${verdict} (${seconds} s)`,
      );
      if (!ran) {
        const told = stdout.split('\n').filter((line) => /^ *not ok|error:/.test(line));
        failures.push(
          `${path.basename(file)} failed:\n${told.slice(0, 30).join('\n')}\n${stderr.slice(-2000)}`,
        );
      }
    }
    const all = reports(logs);
    const mine = all.filter(ours);
    console.log(`${kind}: ${all.length} reports, ${mine.length} with a frame of this package`);
    // Several processes may report the same fault.
    const distinct = new Map(
      mine.map((report) => [report.replace(/0x[0-9a-f]+|\d+/g, ''), report]),
    );
    for (const report of [...distinct.values()].slice(0, 20)) failures.push(report);
  } finally {
    fs.rmSync(logs, { recursive: true, force: true });
  }
  return failures;
}

function testNames(list) {
  const names = list.split(',');
  for (const name of names) {
    if (!fs.existsSync(path.join(ROOT, '__test__', `${name}.test.js`))) {
      throw new Error(`"${name}" is not a test: there is no __test__/${name}.test.js`);
    }
  }
  return names;
}

function parse(argv) {
  const wanted = { kinds: [], parts: ['rust', 'node'], tests: TESTS.whole, strict: false };
  const rest = [...argv];
  while (rest.length > 0) {
    const arg = rest.shift();
    if (arg in SANITIZERS) wanted.kinds.push(arg);
    else if (arg === '--quick') wanted.tests = TESTS.quick;
    else if (arg === '--strict') wanted.strict = true;
    else if (arg === '--only' && wanted.parts.includes(rest[0])) wanted.parts = [rest.shift()];
    else if (arg === '--tests' && rest.length > 0) wanted.tests = testNames(rest.shift());
    else throw new Error(`"${arg}" is neither a sanitizer (address, thread) nor an option`);
  }
  if (wanted.kinds.length === 0) wanted.kinds = Object.keys(SANITIZERS);
  return wanted;
}

function main(argv) {
  const { kinds, parts, tests, strict } = parse(argv);
  const lines = [];
  let failed = false;
  for (const kind of kinds) {
    for (const part of parts) {
      let verdict;
      try {
        if (process.platform !== 'linux' || process.arch !== 'x64') {
          throw new Missing(`this is ${process.platform}-${process.arch}, not linux-x64`);
        }
        sysroot();
        fs.mkdirSync(CACHE, { recursive: true });
        console.log(`\n=== ${SANITIZERS[kind].name}: ${part} ===`);
        const failures = part === 'rust' ? rustTests(kind) : nodeTests(kind, tests);
        for (const failure of failures) console.error(failure);
        failed ||= failures.length > 0;
        verdict = failures.length > 0 ? `FAILED, ${failures.length} findings` : 'nothing found';
      } catch (error) {
        failed ||= strict || !(error instanceof Missing);
        verdict = `${error instanceof Missing ? 'left out' : 'FAILED'}: ${error.message}`;
      }
      lines.push(`${kind.padEnd(8)} ${part.padEnd(5)} ${verdict}`);
    }
  }
  console.log(`\n${lines.join('\n')}`);
  process.exitCode = failed ? 1 : 0;
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
