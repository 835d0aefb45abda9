'use strict';

/*
 * Reads the options that a program passes to constructors and methods: checks them, fills in the
 * defaults, and gives the native side its part. A falsy value means the default, because programs
 * on sockhop rely on it ("port: process.env.PORT"). Unknown options are ignored, with a warning
 * where one looks like a mistake.
 */

const {
  KINDS,
  checkMilliseconds,
  describe,
  invalidType,
  invalidValue,
  outOfRange,
} = require('./kinds.js');
const { late } = require('../late.js');
const { OPTIONS } = require('./table.js');

/** Parts for options that the package does not know, see late.js. */
const loadMistakes = late(() => require('./mistakes.js'));

function warn(...args) {
  loadMistakes().warn(...args);
}

function warnOfOptions(whose, given, names) {
  const isUnknown = (name) => !names.known.includes(name);
  if (Object.keys(given).some(isUnknown)) loadMistakes().warnOfOptions(whose, given, names);
}

const property = (name) => `The "options.${name}" property`;

const defaultOf = (option) =>
  typeof option.default === 'function' ? option.default() : option.default;

/**
 * One option of a taker, ready to be read.
 *
 * @typedef {object} Step
 * @property {string} name
 * @property {string} subject of the messages of its errors
 * @property {function(string, *, object): *} check
 * @property {function(*, string): boolean} isGiven
 * @property {object} option
 */

/**
 * The options of each taker: their names, the steps that read them, the default values, and the
 * options whose default is another object each time.
 *
 * @type {Map<string, {options: object[], names: string[], steps: Step[], standard: object,
 *   fresh: object[]}>}
 */
const byTaker = new Map();

function optionsOf(taker) {
  let found = byTaker.get(taker);
  if (found === undefined) {
    const options = OPTIONS.filter(({ takers }) => takers.includes(taker));
    const names = options.map(({ name }) => name);
    // The package does not read an option of a kind without a check.
    const read = options.filter(({ kind }) => KINDS[kind].check !== undefined);
    const steps = read.map((option) => {
      const { name, kind } = option;
      const { check, isGiven = Boolean } = KINDS[kind];
      const subject = property(taker === 'cluster' ? `cluster.${name}` : name);
      return { name, subject, check, isGiven, option };
    });
    found = {
      options,
      names,
      steps,
      standard: copied(Object.fromEntries(read.map((option) => [option.name, defaultOf(option)]))),
      fresh: read.filter((option) => typeof option.default === 'function'),
    };
    byTaker.set(taker, found);
  }
  return found;
}

const namesOf = (taker) => optionsOf(taker).names;

/**
 * V8 makes a dictionary of an object that is built by computed names. Every message looks at
 * options, which is faster in a copy: that has the shape of a literal.
 */
const copied = (object) => ({ ...object });

/** @returns {*} the checked value, or the default for one that is left out */
function checked(option, subject, value, taker) {
  const { check, isGiven = Boolean } = KINDS[option.kind];
  return isGiven(value, taker) ? check(subject, value, option) : defaultOf(option);
}

/**
 * @param {string} taker a client, a server or a method, as the table names it
 * @param {object} given the options as the program passed them
 * @param {object} [defaults] defaults that replace those of the table
 * @returns {object} a value for every option of the taker
 * @throws {TypeError|RangeError} for the first option that has a wrong value
 */
function read(taker, given, defaults = undefined) {
  const { steps, standard, fresh } = optionsOf(taker);
  const values = copied(standard);
  for (const option of fresh) values[option.name] = option.default();
  if (defaults !== undefined) Object.assign(values, defaults);
  for (const { name, subject, check, isGiven, option } of steps) {
    const value = given[name];
    if (!isGiven(value, taker) || isMethod(value, given, option)) {
      if (Number.isNaN(value)) loadMistakes().warnOfNaN(subject);
      continue;
    }
    values[name] = check(subject, value, option);
  }
  return values;
}

/**
 * An object of a class may have a method with the name of an option, as an array has `values()`.
 */
function isMethod(value, given, { name, kind }) {
  return typeof value === 'function' && kind !== 'sessionType' && !Object.hasOwn(given, name);
}

/**
 * Whether TLS is on: with `ssl`, or with any option of it.
 *
 * @throws {TypeError} for a server with `ssl` and without a certificate
 */
function usesTls({ ssl, ssl_options }, given, isServer) {
  const hasOptions = Object.keys(ssl_options).length > 0;
  if (ssl && !hasOptions && isServer) {
    throw invalidValue(
      property('ssl'),
      'left out for a server without "ssl_options": TLS needs a certificate and its key, ' +
        'ssl_options: { cert, key }, as for tls.createServer()',
      given.ssl,
    );
  }
  if (typeof given.ssl === 'object' && given.ssl !== null) {
    warn(
      'ssl',
      'SOCKHOP_OPTION_VALUE',
      `${property('ssl')} is an object, whose properties have no effect. Give it as "ssl_options" instead.`,
    );
  }
  return ssl || hasOptions;
}

/**
 * The argument of `set_secure_context()`.
 *
 * @returns {object}
 * @throws {TypeError} also for a server without TLS
 */
function checkSecureContext(opts, hasTls) {
  const subject = 'The argument of set_secure_context()';
  if (typeof opts !== 'object' || opts === null || Array.isArray(opts)) {
    throw invalidType(subject, 'an object with options of "ssl_options"', opts);
  }
  if (!hasTls) {
    throw invalidValue(
      subject,
      'options for a server that was constructed with "ssl_options"',
      opts,
    );
  }
  loadMistakes().warnOfTlsOptions(opts);
  return opts;
}

/** The options as an object. They may be left out, but a value without properties is a mistake. */
function checkOptions(opts) {
  if (opts === undefined) return {};
  if (typeof opts === 'object' && opts !== null) return opts;
  throw invalidType('The "options" argument', 'an object, or left out for all defaults', opts);
}

/**
 * The options of a client, complete and checked.
 *
 * @param {object} [opts] as the program passed them
 * @param {{defaults?: object}} [overrides] defaults that replace those of the table
 * @returns {object} plain, with a value for every option; `terminator` is `[receive, transmit]`
 * @throws {TypeError|RangeError} for the first option that has a wrong value
 */
function normalizeClientOptions(opts, { defaults } = {}) {
  const given = checkOptions(opts);
  warnOfClientOptions(given);
  const settings = read('client', given, defaults);
  settings.ssl = usesTls(settings, given, false);
  settings.auto_reconnect_max_interval = longestInterval(settings);
  checkValues(settings);
  return settings;
}

/** The longest time before an attempt to reconnect if the program does not set it, in ms. */
const MAX_INTERVAL_MS = 30_000;

/** @throws {RangeError} if the program has set one that is shorter than the interval */
function longestInterval({
  auto_reconnect_interval: interval,
  auto_reconnect_max_interval: longest,
}) {
  if (longest === 0) return Math.max(interval, MAX_INTERVAL_MS);
  if (longest >= interval) return longest;
  const expected = `a number of milliseconds >= ${interval}, which is "auto_reconnect_interval"`;
  throw outOfRange(property('auto_reconnect_max_interval'), expected, longest);
}

/**
 * The options of a server, complete and checked.
 *
 * @param {object} [opts] as the program passed them
 * @param {{defaults: {session_type: Function}}} overrides defaults that replace those of the table;
 *   the session class must be among them
 * @returns {object} plain, with a value for every option; `terminator` is `[receive, transmit]`
 * @throws {TypeError|RangeError} for the first option that has a wrong value
 */
function normalizeServerOptions(opts, { defaults } = {}) {
  const given = checkOptions(opts);
  warnOfServerOptions(given);
  const settings = read('server', given, defaults);
  settings.ssl = usesTls(settings, given, true);
  if (settings.cluster !== null) settings.cluster = readCluster(settings.cluster);
  checkValues(settings);
  return settings;
}

/** @throws {TypeError} for rich values with an option that needs JSON */
function checkValues({ values, codec, peer_type, debug, terminator, cluster = null }) {
  if (values !== 'rich') return;
  const reason = [
    codec === 'json' && 'codec: "json"',
    peer_type !== 'Sockhop' && 'peer_type: "json"',
    debug && '"debug", which shows messages as JSON',
    cluster !== null && '"cluster", whose nodes exchange JSON',
    terminator.some((text) => /[\t ]/.test(text)) &&
      'a "terminator" that contains a space or a tab',
  ].find(Boolean);
  if (reason === undefined) return;
  throw invalidValue(property('values'), `left out, or "json", together with ${reason}`, values);
}

/**
 * @param {object} given the option `cluster`
 * @returns {object} a value for every option of a cluster
 * @throws {TypeError|RangeError}
 */
function readCluster(given) {
  warnOfOptions('"cluster"', given, { known: namesOf('cluster') });
  const settings = read('cluster', given);
  const { heartbeat_interval: interval, node_timeout: timeout, engine, replay } = settings;
  if (replay > 0 && typeof engine.record !== 'function') {
    throw invalidValue(
      property('cluster.replay'),
      `left out, or 0, with an engine that keeps no messages ("${engine.name}")`,
      replay,
    );
  }
  if (timeout < MIN_HEARTBEATS * interval) {
    throw outOfRange(
      property('cluster.node_timeout'),
      `at least three times "heartbeat_interval", which is ${interval} ms`,
      timeout,
    );
  }
  return settings;
}

/** How many heartbeats of a node must be missing before it counts as gone. */
const MIN_HEARTBEATS = 3;

/** The defaults of a server without the option `cluster`. */
const CLUSTER_DEFAULTS = Object.freeze(
  Object.fromEntries(
    optionsOf('cluster').options.map((option) => [option.name, defaultOf(option)]),
  ),
);

/** `auto_reconnect` is a property of the client. */
const PROPERTIES = ['auto_reconnect'];

/** The names that a constructor knows, for `warnOfOptions()`. */
const CLIENT_NAMES = {
  known: namesOf('client'),
  silent: [...namesOf('server'), ...PROPERTIES],
  properties: PROPERTIES,
};
const SERVER_NAMES = {
  known: namesOf('server'),
  silent: [...namesOf('client'), ...PROPERTIES],
};

function warnOfClientOptions(given) {
  if (given.auto_reconnect) {
    warn(
      'auto_reconnect',
      'SOCKHOP_IGNORED_OPTION',
      'The option "auto_reconnect" of a SockhopClient has no effect, as in sockhop 1.8.4: set the property ' +
        'instead, client.auto_reconnect = true.',
    );
  }
  if (given.ssl) {
    for (const name of ['ca', 'cert', 'key']) {
      if (!given[name]) continue;
      warn(
        name,
        'SOCKHOP_IGNORED_OPTION',
        `The option "${name}" has no effect on a SockhopClient. Put it into "ssl_options" instead.`,
      );
    }
  }
  warnOfOptions('a SockhopClient', given, CLIENT_NAMES);
}

function warnOfServerOptions(given) {
  warnOfOptions('a SockhopServer', given, SERVER_NAMES);
}

/** Names of an endpoint, which belongs to the constructor. */
const ENDPOINT = ['port', 'address', 'host', 'path'];

/**
 * The options of `connect()` and `listen()`, which take neither an endpoint nor a callback.
 *
 * @param {'connect'|'listen'} method
 * @param {Array} args the arguments of the call
 * @param {{path: ?string, address: string, port: number}} here a client or a server
 * @returns {{signal?: AbortSignal, exclusive?: boolean}}
 * @throws {TypeError} ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 */
function normalizeCallOptions(method, args, here) {
  const [opts] = args;
  const whose = method === 'connect' ? 'client' : 'server';
  if (typeof opts === 'function') {
    throw invalidType(
      `The argument of ${method}()`,
      'left out, or an object with options: it takes no callback (await the promise that it returns)',
      opts,
    );
  }
  if (typeof opts === 'number' || typeof opts === 'string') {
    // A program that names the endpoint in use gets that endpoint.
    if (String(opts) === String(here.path || here.port)) return {};
    throw invalidValue(
      `The argument of ${method}()`,
      `left out, or an object with options: the address is set in the constructor (new Sockhop.${whose}({ port, address })) or ` +
        `by the properties "port", "address" and "path" of the ${whose}`,
      opts,
    );
  }
  if (typeof opts !== 'object' || opts === null) return {};
  for (const name of ENDPOINT) {
    if (!Object.hasOwn(opts, name) || !opts[name] || opts[name] === here[name]) continue;
    warn(
      `${method}() ${name}`,
      'SOCKHOP_IGNORED_OPTION',
      `The option "${name}" of ${method}() has no effect: pass it to the constructor, or set the property of the ${whose} instead.`,
    );
  }
  const taker = `${method}()`;
  warnOfOptions(taker, opts, { known: namesOf(taker), silent: ENDPOINT });
  return read(taker, opts);
}

const NO_LISTEN_OPTIONS = Object.freeze(read('listen()', {}));

/**
 * The options of `listen()`, complete and checked.
 *
 * @param {Array} args the arguments of the call
 * @param {{path: ?string, address: string, port: number}} here the server
 * @returns {object} with a value for every option
 * @throws {TypeError|RangeError} also for an option of `net` or `tls` that would have no effect
 */
function normalizeListenOptions(args, here) {
  const [opts] = args;
  if (typeof opts === 'object' && opts !== null) {
    for (const name of Object.keys(opts)) {
      const isKnown = namesOf('listen()').includes(name);
      const instead = isKnown ? undefined : loadMistakes().NOT_OF_LISTEN.get(name);
      if (instead === undefined || !opts[name]) continue;
      throw invalidValue(property(name), `left out of listen(). ${instead}`, opts[name]);
    }
  }
  return { ...NO_LISTEN_OPTIONS, ...normalizeCallOptions('listen', args, here) };
}

/**
 * The options of `close()`. A program may pass `close` as a listener of an event, so arguments of
 * events are not taken for options.
 *
 * @param {*} opts
 * @returns {{grace: number}} in ms
 * @throws {TypeError|RangeError} for a wrong value
 */
function normalizeCloseOptions(opts) {
  if (typeof opts === 'number' && opts > 0) {
    warnOfArgument('close()', `an object with options such as { grace: ${opts} }`, opts);
  }
  warnOfCallback('close()', opts);
  const isPlain = typeof opts === 'object' && opts?.constructor === Object;
  if (!isPlain) return { grace: 0 };
  warnOfOptions('close()', opts, { known: namesOf('close()') });
  return read('close()', opts);
}

/** As in 1.8.4, such a value has no effect. */
function warnOfArgument(method, expected, value) {
  warn(
    method,
    'SOCKHOP_IGNORED_OPTION',
    `The last argument of ${method} has no effect. It must be ${expected}. Received ${describe(value)}`,
  );
}

/** Warns of a function instead of the options of a method. */
function warnOfCallback(method, value) {
  if (typeof value !== 'function') return;
  const expected =
    'left out: there is no callback, but the returned promise is fulfilled when it is done';
  warnOfArgument(method, expected, value);
}

/** The names of the options of `sendall()`. */
const BROADCAST_OPTIONS = ['local', 'except'];

/**
 * Warns of a mistake in the options of `sendall()`. A number is not a mistake: `sendall` may be
 * passed to `map()`, which adds an index.
 *
 * @param {*} opts
 */
function checkBroadcastOptions(opts) {
  if (typeof opts === 'function') return warnOfCallback('sendall()', opts);
  if (typeof opts !== 'object') return;
  if (typeof opts.write === 'function') {
    return warnOfArgument('sendall()', 'an object with options: send() takes a socket', opts);
  }
  warnOfOptions('sendall()', opts, { known: BROADCAST_OPTIONS });
}

/** The number of names that are remembered for a method; further names cause no warnings. */
const MOST_NAMES = 256;

/** The names that were compared already, by method: its options, and names that it was given. */
const familiarNames = new Map();

function familiarTo(taker) {
  let names = familiarNames.get(taker);
  if (names === undefined) {
    names = new Set(namesOf(taker));
    familiarNames.set(taker, names);
  }
  return names;
}

/**
 * The options of a method that a program may call for each message. A name is compared with the
 * options when it comes for the first time.
 *
 * @param {'send()'|'call()'|'request()'} taker
 * @param {object} given
 */
function readOften(taker, given) {
  const familiar = familiarTo(taker);
  let isNew = false;
  for (const name in given) {
    if (familiar.has(name) || !given[name] || familiar.size >= MOST_NAMES) continue;
    familiar.add(name);
    isNew = true;
  }
  if (isNew) warnOfOptions(taker, given, { known: namesOf(taker) });
  return read(taker, given);
}

const NO_REQUEST_OPTIONS = Object.freeze(read('request()', {}));

/**
 * The options of one request.
 *
 * @param {{timeout?: number, signal?: AbortSignal}} [config]
 * @returns {{timeout: (number|undefined), signal: (AbortSignal|undefined)}} undefined: left out
 * @throws {TypeError|RangeError} for the first option that has a wrong value
 */
function normalizeRequestOptions(config) {
  if (!config) return NO_REQUEST_OPTIONS;
  if (typeof config === 'object') return readOften('request()', config);
  warnOfArgument('request()', 'an object with options such as { timeout: 5000 }', config);
  return NO_REQUEST_OPTIONS;
}

const NO_CALL_OPTIONS = Object.freeze(read('call()', {}));

/**
 * The options of one call.
 *
 * @param {{timeout?: number, signal?: AbortSignal}} [config]
 * @returns {{timeout: (number|undefined), signal: (AbortSignal|undefined)}} undefined: left out
 * @throws {TypeError|RangeError} for the first option that has a wrong value
 */
function normalizeAnswerOptions(config) {
  if (!config) return NO_CALL_OPTIONS;
  if (typeof config === 'object') return readOften('call()', config);
  throw invalidType(
    'The last argument of call()',
    'left out, or an object with options such as { timeout: 5000 }: it takes no callback (await the promise that it returns for the answer)',
    config,
  );
}

/**
 * The options of `metrics()`.
 *
 * @param {{labels?: object, others?: object[]}} [opts]
 * @returns {{labels: Object<string, string>, others: object[]}}
 * @throws {TypeError} for the first option that has a wrong value
 */
function normalizeMetricsOptions(opts) {
  const given = checkOptions(opts);
  warnOfOptions('metrics()', given, { known: namesOf('metrics()'), silent: [] });
  return read('metrics()', given);
}

/**
 * The options of one message of a client.
 *
 * @param {{timeout?: number, signal?: AbortSignal}} config
 * @returns {{timeout: (number|undefined), signal: (AbortSignal|undefined)}} undefined: left out
 * @throws {TypeError|RangeError} for the first option that has a wrong value
 */
function normalizeSendOptions(config) {
  if (typeof config === 'object') return readOften('send()', config);
  throw invalidType('The "options" argument of send()', 'left out, or an object', config);
}

/**
 * The fields of the native settings: each with its option, the conversion of the value, and the
 * default.
 */
const NATIVE_FIELDS = OPTIONS.filter(({ native }) => native !== undefined).flatMap((option) =>
  Object.entries(option.native).map(([field, convert]) => {
    return { field, convert, name: option.name, standard: convert(defaultOf(option)) };
  }),
);

const NATIVE_DEFAULTS = copied(
  Object.fromEntries(NATIVE_FIELDS.map(({ field, standard }) => [field, standard])),
);

/** The part of the settings of a client or server that the native side needs. */
function nativeSettings(settings) {
  const fields = copied(NATIVE_DEFAULTS);
  // Client and server share the settings; an option of the other one has its default.
  for (const { field, convert, name } of NATIVE_FIELDS) {
    if (name in settings) fields[field] = convert(settings[name]);
  }
  return fields;
}

const optionNamed = (name) => OPTIONS.find((option) => option.name === name);

/** The check of a property that has the meaning of an option, and no default. */
function checkOf(name) {
  const option = optionNamed(name);
  return (subject, value) => KINDS[option.kind].check(subject, value, option);
}

/** @returns {[string, string]} `[receive, transmit]`; the default for a value that is left out */
const checkTerminator = (subject, value) => checked(optionNamed('terminator'), subject, value);

module.exports = {
  checkBroadcastOptions,
  checkSecureContext,
  CLUSTER_DEFAULTS,
  namesOf,
  nativeSettings,
  normalizeClientOptions,
  normalizeServerOptions,
  normalizeRequestOptions,
  normalizeSendOptions,
  normalizeAnswerOptions,
  normalizeCallOptions,
  normalizeMetricsOptions,
  normalizeCloseOptions,
  normalizeListenOptions,
  checkAddress: checkOf('address'),
  checkMilliseconds,
  checkPath: checkOf('path'),
  checkPort: checkOf('port'),
  checkTerminator,
  warnOfCallback,
};
