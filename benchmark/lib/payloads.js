/**
 * The payloads: objects of the kinds that programs send. A payload has
 *
 *   name, title as on the command line and in the tables bytes the length of its JSON, or of its
 *   binary data values "rich": it has values that JSON does not carry make(seq) an object to send
 *   as message no. `seq`. It is valid until the next call matches(data, seq) whether that object
 *   has arrived unchanged
 *
 * Each payload is a pool of different objects, because programs do not send the same values again and
 * again. They are made before the measurement, so that it does not contain the time of making them.
 */

const { text } = require('./payload.js');

const POOL = 64;
/** One message of this many is compared in full. For the others `probe` reads one value. */
const COMPARE_EVERY = 1000;

/** A small generator of random numbers, so that all processes make the same objects. */
class Random {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  /** @returns {number} a whole number from 0 to `limit` - 1 */
  below(limit) {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  /** @returns {number} from 0 to `limit`, with so many decimals */
  decimal(limit, digits) {
    return this.below(limit * 10 ** digits) / 10 ** digits;
  }

  of(list) {
    return list[this.below(list.length)];
  }
}

const NAMES = ['anna.k', 'bertrand', 'chioma', 'dmitri_v', 'elif', 'farah.h', 'gustavo', 'hoang'];
const COUNTRIES = ['DE', 'FR', 'NG', 'BR', 'VN', 'TR'];

/** A record: numbers, a flag, short strings and an array. */
function record(random) {
  return {
    seq: 0,
    id: 10_000 + random.below(80_000),
    user: random.of(NAMES),
    price: random.decimal(2000, 2),
    discount: random.decimal(1, 2),
    paid: random.below(2) === 1,
    items: [random.below(90), random.below(90), random.below(90), random.below(90)],
    country: random.of(COUNTRIES),
  };
}

/** A page of a table, as an array of objects with the same keys. */
function rows(random) {
  return {
    seq: 0,
    rows: Array.from({ length: 40 }, (_, i) => ({
      i,
      name: random.of(NAMES),
      value: random.decimal(1000, 1),
      tags: ['a', 'b'],
    })),
  };
}

/** The report of a device: nested numbers and flags. */
function telemetry(random) {
  return {
    seq: 0,
    device: `sensor-${random.below(1000)}`,
    at: 1_764_000_000_000 + random.below(1e9),
    position: {
      lat: random.decimal(90, 6),
      lon: random.decimal(180, 6),
      alt: random.decimal(900, 1),
    },
    state: {
      online: true,
      charging: random.below(2) === 1,
      battery: random.decimal(1, 2),
      errors: 0,
    },
    readings: Array.from({ length: 64 }, () => random.decimal(1000, 2)),
  };
}

/** An entry of a log: text with quotes, escapes and characters that are not ASCII. */
function log(random) {
  const path = `C:\\Users\\${random.of(NAMES)}\\été ${random.below(1000)}\\données.json`;
  return {
    seq: 0,
    level: random.of(['info', 'warn', 'error']),
    host: `web-${random.below(100)}`,
    message:
      `Could not open "${path}": the server said "Zugriff verweigert – Prüfung №${random.below(1e6)}"\n` +
      `\tat load (/srv/app/lib/store.js:${random.below(900)}:17)\n` +
      `\tat async handler (/srv/app/lib/routes.js:${random.below(900)}:5)\n` +
      `\tat async Server.<anonymous> (/srv/app/server.js:${random.below(90)}:9)\n` +
      `request: {"id":"${random.below(1e9)}","query":"naïve café 東京 ✓"}\n` +
      `user: "${random.of(NAMES)}", tried 3 times, gives up after ${random.below(9000)} ms`,
  };
}

/** A nested structure, as of a document or a directory. */
function tree(random) {
  const node = (depth) => ({
    kind: depth === 0 ? 'file' : 'directory',
    name: `${random.of(NAMES)}-${random.below(1000)}`,
    size: random.below(1e6),
    children: depth === 0 ? [] : [node(depth - 1), node(depth - 1)],
  });
  return { seq: 0, root: node(5) };
}

const FIELDS = [
  ...['id', 'name', 'owner', 'status', 'priority', 'created', 'updated', 'due', 'labels', 'score'],
  ...[
    'parent',
    'visible',
    'locked',
    'color',
    'width',
    'height',
    'comment',
    'source',
    'target',
    'rev',
  ],
];

/** Every object of the pool has another set of keys. */
function mixed(random) {
  const object = { seq: 0 };
  for (const field of FIELDS) {
    if (random.below(2) === 1) continue;
    object[field] = random.of([
      random.below(1e6),
      random.of(NAMES),
      random.decimal(100, 2),
      true,
      null,
    ]);
  }
  return object;
}

const read = {
  record: ({ price }) => price,
  rows: ({ rows }) => rows?.[39]?.value,
  telemetry: ({ readings }) => readings?.[63],
  log: ({ message }) => message?.length,
  tree: ({ root }) => root?.children?.[1]?.children[1]?.size,
  mixed: (object) => Object.keys(object).length,
};

/** A payload that is a pool of different objects. */
function pooled(name, kind, make, size = POOL) {
  const random = new Random(17);
  const pool = Array.from({ length: size }, () => make(random));
  const probe = read[name];
  const probes = pool.map(probe);
  const total = pool.reduce((sum, object) => sum + Buffer.byteLength(JSON.stringify(object)), 0);
  const bytes = Math.round(total / size);
  const about =
    bytes < 1000 ? `${Math.round(bytes / 10) * 10} bytes` : `${(bytes / 1000).toFixed(1)} KB`;
  return {
    name,
    title: `${kind} (${about})`,
    bytes,
    make(seq) {
      const object = pool[seq % size];
      object.seq = seq;
      return object;
    },
    matches(data, seq) {
      if (!Number.isInteger(seq)) return false;
      const i = seq % size;
      if (data.seq !== seq || probe(data) !== probes[i]) return false;
      if (seq % COMPARE_EVERY !== 0) return true;
      return JSON.stringify(data) === JSON.stringify({ ...pool[i], seq });
    },
  };
}

const BUFFER = 64 * 1024;

/** Buffers, for `values: "rich"`. Peers without such values carry them in base64. */
function buffer() {
  const random = new Random(17);
  const pool = Array.from({ length: 16 }, () => {
    const bytes = Buffer.alloc(BUFFER);
    for (let i = 0; i < BUFFER; i++) bytes[i] = random.below(256);
    return bytes;
  });
  return {
    name: 'buffer',
    title: 'Buffers (65.5 KB)',
    bytes: BUFFER,
    values: 'rich',
    make: (seq) => ({ seq, bytes: pool[seq % pool.length] }),
    matches(data, seq) {
      if (!Number.isInteger(seq) || data.seq !== seq || data.bytes?.length !== BUFFER) return false;
      return seq % COMPARE_EVERY !== 0 || pool[seq % pool.length].equals(data.bytes);
    },
  };
}

/** One string of this many letters, the payload of the workloads whose names end with a size. */
function plainText(bytes) {
  const body = text(bytes);
  return {
    name: 'text',
    title: `${bytes < 1024 ? `${bytes}-byte` : `${bytes / 1024} KiB`} objects`,
    bytes,
    make: (seq) => ({ seq, body }),
    matches: (data, seq) =>
      Number.isInteger(seq) && data.seq === seq && data.body?.length === bytes,
  };
}

const payloads = [
  pooled('record', 'Records', record),
  pooled('rows', 'Tables of 40 rows', rows),
  pooled('telemetry', 'Telemetry', telemetry),
  pooled('log', 'Log entries', log),
  pooled('tree', 'Trees', tree),
  pooled('mixed', 'Objects with different keys', mixed, 1000),
  buffer(),
];

/** The payloads of a run of all workloads. The others are measured if `--payload` names them. */
const usual = ['record', 'rows'];

module.exports = { payloads, plainText, usual };
