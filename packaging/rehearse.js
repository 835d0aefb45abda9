// Rehearses a release: publishes its packages to a registry on this machine, and installs them from
// there in empty directories with each package manager. Runs a client and a server written for
// sockhop 1.8.4 in each directory.
//
//   npm run rehearse              with the binding of the checkout
//   npm run rehearse -- --build   with bindings built as for a release, of every target this machine can build
//   npm run rehearse -- --node <tag>="<command>"
//                                 also with the binding of another platform in target/bindings, and a command that runs
//                                 a Node of that platform here, for example through qemu

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const {
  bindingFileName,
  bindingPackageName,
  platformTag,
} = require('../lib/internal/native/platform.js');
const { setup } = require('../scripts/setup.js');
const { assemble, bindingsOf } = require('./assemble.js');
const { build, buildable, builtBinding } = require('./build.js');
const { installTools, npmFile, run } = require('./commands.js');
const { MANAGERS, npmFlags, releaseOf } = require('./managers.js');
const { converse, start, writeProgram } = require('./programs.js');
const { publish } = require('./publish.js');
const { startRegistry } = require('./registry.js');
const { targetOf } = require('./targets.js');

const ROOT = path.dirname(__dirname);
const { version } = require('../package.json');

/**
 * The names under which programs install the package: the request, and the name that they require.
 */
const REQUESTS = [
  { request: `sockhop@npm:sockhop-native@${version}`, name: 'sockhop' },
  { request: `sockhop-native@${version}`, name: 'sockhop-native' },
];

class Rehearsal {
  #scratch;
  #url;
  #environment;
  #count = 0;
  failures = [];
  passed = 0;
  /** The directory with what npm has installed for the first request. */
  byNpm;

  constructor(scratch, url) {
    this.#scratch = scratch;
    this.#url = url;
    // Node is all that the PATH has: no toolchain, and nothing that a script could use.
    const bin = path.join(scratch, 'bin');
    fs.mkdirSync(bin);
    fs.symlinkSync(process.execPath, path.join(bin, 'node'));
    this.#environment = { PATH: bin, HOME: path.join(scratch, 'home'), CI: 'true' };
    fs.mkdirSync(this.#environment.HOME);
  }

  /** Makes a directory with nothing in it but a package.json and a program that requires the package as `name`. */
  makeDirectory(name) {
    this.#count += 1;
    const directory = path.join(this.#scratch, `app-${this.#count}`);
    fs.mkdirSync(directory);
    fs.writeFileSync(path.join(directory, 'package.json'), '{ "name": "app", "private": true }\n');
    writeProgram(path.join(directory, 'program.js'), name);
    return directory;
  }

  async step(title, action) {
    const began = Date.now();
    let verdict = 'passed';
    try {
      await action();
      this.passed += 1;
    } catch (error) {
      verdict = 'FAILED';
      this.failures.push(`${title}\n${error.message}`);
    }
    console.log(`${title}: ${verdict} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  }

  run(directory, script, args) {
    const command = [process.execPath, script, ...args];
    return run(command, { cwd: directory, env: this.#environment });
  }

  npm(directory, command, ...args) {
    const flags = npmFlags({ url: this.#url, scratch: this.#scratch });
    return this.run(directory, npmFile(), [command, ...flags, ...args]);
  }

  /** Publishes with a token, because npm requires one. The registry does not check it. */
  publish(directories) {
    const token = `--${this.#url.replace('http:', '')}:_authToken=none`;
    const flags = [`--registry=${this.#url}`, '--loglevel=error', token];
    publish(directories, {
      yes: true,
      flags,
      options: { env: { ...process.env, npm_config_registry: this.#url } },
    });
  }

  install({ script, prepare, add }, directory, request) {
    const settings = { directory, url: this.#url, scratch: this.#scratch };
    prepare?.(settings);
    this.run(directory, script, [...add(settings), request]);
  }

  /** @param {string[]} [node] runs Node */
  converse(directory, node = [process.execPath]) {
    const command = [...node, 'program.js'];
    return converse(command, { cwd: directory, env: this.#environment });
  }

  async errorOf(directory, node = [process.execPath]) {
    const command = [...node, 'program.js', 'server'];
    const { code, errors } = await start(command, { cwd: directory, env: this.#environment }).ended;
    assert.equal(code, 1, errors);
    assert.match(errors, /ERR_SOCKHOP_BINDING/);
    return errors;
  }
}

async function rehearseManagers(rehearsal) {
  for (const manager of MANAGERS) {
    for (const { request, name } of REQUESTS) {
      const title = `${manager.name} (${releaseOf(manager)}) installs ${request}`;
      await rehearsal.step(title, async () => {
        const directory = rehearsal.makeDirectory(name);
        rehearsal.install(manager, directory, request);
        await rehearsal.converse(directory, [process.execPath, ...(manager.nodeOptions ?? [])]);
        if (manager.name === 'npm') rehearsal.byNpm ??= directory;
      });
    }
  }
}

async function rehearseMishaps(rehearsal) {
  const binding = bindingPackageName(platformTag());
  const [{ request, name }] = REQUESTS;

  await rehearsal.step('npm ci installs what a lock file says', async () => {
    const directory = rehearsal.byNpm;
    fs.rmSync(path.join(directory, 'node_modules'), { recursive: true });
    rehearsal.npm(directory, 'ci');
    await rehearsal.converse(directory);
  });

  await rehearsal.step('without optional dependencies the error names the option', async () => {
    const directory = rehearsal.makeDirectory(name);
    rehearsal.npm(directory, 'install', '--omit=optional', request);
    const errors = await rehearsal.errorOf(directory);
    assert.match(errors, /--omit=optional/);
    assert.ok(errors.includes(`the package ${binding}: not installed`), errors);
  });

  await rehearsal.step(
    'installed for another platform, the remedy in the error helps',
    async () => {
      const directory = rehearsal.makeDirectory(name);
      rehearsal.npm(directory, 'install', '--os=openbsd', '--cpu=riscv64', request);
      const errors = await rehearsal.errorOf(directory);
      const remedy = `npm install --no-save ${binding}@${version}`;
      assert.ok(errors.includes(remedy), errors);
      rehearsal.npm(directory, 'install', '--no-save', `${binding}@${version}`);
      await rehearsal.converse(directory);
    },
  );
}

/** Installs for other platforms, and runs the program by a Node of each. */
async function rehearsePlatforms(rehearsal, platforms) {
  const [{ request, name }] = REQUESTS;
  for (const [tag, node] of platforms) {
    const { os: system, cpu, libc } = targetOf(tag);
    const binding = bindingPackageName(tag);

    await rehearsal.step(`npm installs ${request} for ${tag}`, async () => {
      const directory = rehearsal.makeDirectory(name);
      const flags = [`--os=${system}`, `--cpu=${cpu}`, ...(libc ? [`--libc=${libc}`] : [])];
      rehearsal.npm(directory, 'install', ...flags, request);
      const installed = fs.readdirSync(path.join(directory, 'node_modules'));
      assert.deepEqual(
        installed.filter((entry) => entry.startsWith('sockhop-native-')),
        [binding],
      );
      await rehearsal.converse(directory, node);
    });

    await rehearsal.step(`copied to ${tag}, the error names what is installed`, async () => {
      const directory = rehearsal.makeDirectory(name);
      rehearsal.npm(directory, 'install', request);
      const errors = await rehearsal.errorOf(directory, node);
      const own = bindingPackageName(platformTag());
      assert.ok(errors.includes(`the package ${binding}: not installed`), errors);
      assert.ok(errors.includes(`Installed for another platform: ${own}.`), errors);
      assert.ok(errors.includes(`npm install --no-save ${binding}@${version}`), errors);
    });
  }
}

/** The commands of `--node`, by the tags of their platforms. */
function platformsOf(values) {
  return new Map(
    values.map((value) => {
      const [, tag, command] = /^([\w-]+)=(.+)$/.exec(value) ?? [];
      if (tag === undefined) throw new Error(`--node "${value}" is not <tag>=<command>`);
      return [targetOf(tag).tag, command.split(' ')];
    }),
  );
}

function bindings(isBuilt, platforms) {
  const others = [...platforms.keys()];
  if (!isBuilt) {
    setup();
    return [path.join(ROOT, bindingFileName(platformTag())), ...others.map(builtBinding)];
  }
  const built = buildable().map(({ tag }) => {
    console.log(`building ${tag}`);
    return build(tag);
  });
  const files = others.map(builtBinding).filter((file) => !built.includes(file));
  return [...built, ...files];
}

async function main(argv) {
  const { values } = parseArgs({
    args: argv,
    options: { build: { type: 'boolean' }, node: { type: 'string', multiple: true, default: [] } },
  });
  const platforms = platformsOf(values.node);
  installTools();
  const files = bindings(values.build, platforms);
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-rehearsal-'));
  const registry = await startRegistry(path.join(scratch, 'registry'));
  const rehearsal = new Rehearsal(scratch, registry.url);
  try {
    rehearsal.publish(assemble(path.join(scratch, 'packages'), bindingsOf(files)));
    await rehearseManagers(rehearsal);
    await rehearseMishaps(rehearsal);
    await rehearsePlatforms(rehearsal, platforms);
  } finally {
    await registry.stop();
    fs.rmSync(scratch, { recursive: true, force: true });
  }
  for (const failure of rehearsal.failures) console.log(`\nFAILED: ${failure}`);
  console.log(`\n${rehearsal.passed} passed, ${rehearsal.failures.length} failed`);
  process.exitCode = rehearsal.failures.length > 0 ? 1 : 0;
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
