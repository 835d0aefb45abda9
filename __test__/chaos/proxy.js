'use strict';

const net = require('node:net');
const { setTimeout: wait } = require('node:timers/promises');

/** A generator of numbers in [0, 1) that gives the same ones for the same seed. */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The treatment of one connection. The order of its bytes never changes.
 *
 * @typedef {object} Plan
 * @property {number} [split] the most bytes of one write; 1 writes every byte by itself
 * @property {number} [splitFirst] limits split and delay to the first bytes of each direction
 * @property {number} [delay] ms to wait before each write, at most
 * @property {{after: number, ms: number}} [stall] stop for so long once so many bytes have passed
 *   in a direction
 * @property {{after: number, direction: 'up'|'down'}} [halfClose] end a direction after so many
 *   bytes
 * @property {{after: number}} [reset] reset both sides after so many bytes
 * @property {{after: number}} [truncate] end both sides in order after so many bytes, wherever that
 *   is
 */

/**
 * A proxy that makes the network bad.
 */
class ChaosProxy {
  #server;
  #sockets = new Set();
  #plan;
  #target;
  /** How often each fault was injected. */
  injected = { split: 0, delay: 0, stall: 0, halfClose: 0, reset: 0, truncate: 0, connections: 0 };
  bytes = 0;

  /**
   * @param {object} target as `net.connect` takes it
   * @param {(number: number) => Plan} plan asked for each connection
   * @param {{onFirst?: Function, onFault?: Function}} [watch] `onFirst(connection, bytes)`: the first bytes of a
   *   client; `onFault(connection, name)`: its connection was broken on purpose
   */
  constructor(target, plan = () => ({}), watch = {}) {
    this.#target = target;
    this.#plan = plan;
    this.watch = watch;
    this.#server = net.createServer({ allowHalfOpen: true }, (near) => this.#accept(near));
  }

  /** @param {object} where as `server.listen` takes it */
  async listen(where = { port: 0, host: '127.0.0.1' }) {
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(where, resolve);
    });
    return this.#server.address();
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near) {
    const far = net.connect({ ...this.#target, allowHalfOpen: true });
    const connection = { near, far, plan: this.#plan(this.injected.connections), faulty: false };
    this.injected.connections += 1;
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
    }
    far.on('error', () => near.destroy());
    this.#pump(connection, 'up', near, far);
    this.#pump(connection, 'down', far, near);
  }

  #fault(connection, name) {
    this.injected[name] += 1;
    connection.faulty = true;
    this.watch.onFault?.(connection, name);
  }

  /** Forwards one direction piece by piece. Backpressure of the receiver reaches the sender. */
  async #pump(connection, direction, source, target) {
    const { plan } = connection;
    let passed = 0;
    try {
      for await (const chunk of chunksOf(source)) {
        if (direction === 'up' && passed === 0) this.watch.onFirst?.(connection, chunk);
        for (let at = 0, size = 0; at < chunk.length; at += size) {
          const splits = passed < (plan.splitFirst ?? Number.POSITIVE_INFINITY);
          size = (splits && plan.split) || chunk.length;
          let piece = chunk.subarray(at, at + size);
          const { reset, truncate, stall } = plan;
          if (stall && passed < stall.after && passed + piece.length >= stall.after) {
            this.injected.stall += 1;
            await wait(stall.ms);
          }
          const cut = reset ?? truncate;
          if (cut && passed + piece.length >= cut.after) {
            piece = piece.subarray(0, Math.max(0, cut.after - passed));
            this.#fault(connection, reset ? 'reset' : 'truncate');
            if (target.destroyed) return;
            await write(target, piece);
            if (reset) {
              resetSocket(source);
              resetSocket(target);
            } else {
              source.end();
              target.end();
              source.destroy();
            }
            return;
          }
          const half = plan.halfClose?.direction === direction ? plan.halfClose.after : null;
          if (half !== null) piece = piece.subarray(0, Math.max(0, half - passed));
          if (plan.delay && splits) {
            this.injected.delay += 1;
            await wait(Math.ceil(plan.delay));
          }
          if (target.destroyed) return;
          passed += piece.length;
          this.bytes += piece.length;
          if (plan.split && splits) this.injected.split += 1;
          await write(target, piece);
          if (half !== null && passed >= half) {
            this.#fault(connection, 'halfClose');
            target.end();
            return;
          }
        }
      }
      target.end();
    } catch {
      // One side was reset, and so the other is.
      if (!target.destroyed) resetSocket(target);
    }
  }
}

/** Node resets TCP connections only. A Unix socket with unread bytes is reset when it is closed. */
function resetSocket(socket) {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

/** The chunks of a socket as they arrive; those that arrived before a reset are not lost. */
async function* chunksOf(socket) {
  const chunks = [];
  let over = false;
  let failure = null;
  let go = () => {};
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    if (chunks.length >= 4) socket.pause();
    go();
  });
  const end = () => {
    over = true;
    go();
  };
  socket.on('end', end);
  socket.on('close', end);
  socket.on('error', (err) => {
    failure = err;
    end();
  });
  for (;;) {
    while (chunks.length > 0) {
      yield chunks.shift();
      if (chunks.length < 4) socket.resume();
    }
    if (over) break;
    await new Promise((resolve) => {
      go = resolve;
    });
  }
  if (failure) throw failure;
}

function write(socket, bytes) {
  if (bytes.length === 0) return undefined;
  if (socket.write(bytes)) return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const done = () => {
      socket.removeListener('drain', done);
      socket.removeListener('close', done);
      resolve();
    };
    socket.once('drain', done);
    socket.once('close', done);
  });
}

module.exports = { ChaosProxy, randomFrom };
