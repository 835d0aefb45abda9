'use strict';

// A client or server that is busy with other work: `node busy.js <plan as JSON>`. It reports to its
// parent.

const { once } = require('node:events');
const fs = require('node:fs');
const { implementations } = require('../support/implementations.js');
const { client: Client, server: Server } = require(implementations.native);

const { role, where, task, count, blockMs, pingMs } = JSON.parse(process.argv[2]);

const end = role === 'client' ? new Client(where) : new Server(where);
let connects = 0;
let disconnects = 0;
end.on('connect', () => {
  connects += 1;
});
end.on('disconnect', () => {
  disconnects += 1;
});

/** Longer than the threads of the package sleep while there is traffic. */
const QUIET_MS = 500;

/** How often threads of the package have begun to wait, so far. */
function wakeUps() {
  let count = 0;
  for (const thread of fs.readdirSync('/proc/self/task')) {
    const status = fs.readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
    if (/^Name:\s+sockhop-/.test(status)) {
      count += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)[1]);
    }
  }
  return count;
}

/** Blocks the JavaScript thread as a computation does, and leaves the processor to other tests. */
function block() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs);
}

const tasks = {
  /** Blocks while messages arrive, and reports whether it received all of them. */
  compute: () => {
    const wrong = [];
    let next = 0;
    end.on('receive', ({ n }, { callback }) => {
      if (n !== next && wrong.length < 10) wrong.push([n, next]);
      next = n + 1;
      if (n === Math.floor(count / 10)) {
        process.send({ event: 'blocking' });
        // Reported first, so that the parent knows it.
        setTimeout(() => {
          block();
          process.send({ event: 'back', received: next });
        }, 20);
      }
      // The parent asks for this at the end.
      callback?.({ next, wrong, connects, disconnects });
    });
    if (pingMs) end.ping(pingMs);
  },

  /** Blocks as soon as no thread of the package has woken for a while. */
  rest: async () => {
    end.on('receive', (_object, { callback }) => callback({}));
    await once(end, 'connect');
    for (let before = -1; before !== wakeUps(); ) {
      before = wakeUps();
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    }
    process.send({ event: 'quiet' });
    // Reported first, so that the parent knows it.
    setTimeout(() => {
      block();
      process.send({ event: 'back' });
    }, 20);
  },

  /** Counts how often others get their turn while it is flooded. */
  share: async () => {
    let received = 0;
    const turns = { timers: 0, intervals: 0, immediates: 0, files: 0 };
    end.on('receive', () => {
      received += 1;
    });
    await once(end, 'receive');
    const before = received;
    const timer = () => {
      turns.timers += 1;
      setTimeout(timer, 1);
    };
    timer();
    setInterval(() => {
      turns.intervals += 1;
    }, 1);
    const immediate = () => {
      turns.immediates += 1;
      setImmediate(immediate);
    };
    immediate();
    const read = () => {
      turns.files += 1;
      fs.readFile(__filename, read);
    };
    read();
    // A timer looks, so that no report comes if timers starve. The flood has to continue meanwhile:
    // on a busy machine the other end may not have had a turn yet.
    const look = setInterval(() => {
      if (Math.min(...Object.values(turns)) < 20 || received - before < 1000) return;
      clearInterval(look);
      process.send({ event: 'shared', turns, received: received - before });
    }, 1);
  },
};

async function main() {
  await tasks[task]();
}

(async () => {
  const working = main();
  await (role === 'client' ? end.connect() : end.listen());
  process.send({ event: 'ready' });
  await working;
})();
