'use strict';

// Tests the contract of a cluster engine, which every engine must fulfil with every client.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');

const { brokers } = require('./support/brokers.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn } = require('./support/deadline.js');
const { EventLog } = require('./support/event-log.js');

const limit = { timeout: 600_000 };

/** An open engine, and the calls that its host gets. */
async function open(t, broker, inbox, engine = undefined) {
  const made = engine ?? (await broker.engine());
  const log = new EventLog();
  const opened = await deadline(
    made.open({
      inbox,
      deliver: (subject, bytes) =>
        log.push({
          name: 'message',
          subject,
          bytes: Buffer.from(bytes),
          text: String(Buffer.from(bytes)),
        }),
      state: (isUp, cause) => log.push({ name: isUp ? 'up' : 'down', cause }),
      nobody: (ticket) => log.push({ name: 'nobody', ticket }),
    }),
    'the engine to open',
  );
  cleanup(t, () => made.close());
  return { engine: made, log, ...opened };
}

const message = (log) => log.next('message').then(({ text }) => text);

for (const { name, skip, start } of brokers) {
  describe(`the engine over ${name}`, { ...limit, skip }, () => {
    it('delivers what is published after a subscription is confirmed, with its subject', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      const b = await open(t, broker, 'x.n.b');
      await b.engine.subscribe('x.a');
      a.engine.publish('x.a', Buffer.from('one'));
      const { subject, text } = await b.log.next('message');
      assert.deepEqual({ subject, text }, { subject: 'x.a', text: 'one' });
      // Only changes are reported: that an engine is up at first is the result of open().
      assert.deepEqual([...a.log.all('up'), ...b.log.all('up')], []);
    });

    it('keeps the order of what one engine publishes, over several subjects if it can', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      const b = await open(t, broker, 'x.n.b');
      for (const subject of ['x.a', 'x.h', 'x.n.b']) await b.engine.subscribe(subject);
      const subjects = ['x.a', 'x.n.b', 'x.h'];
      for (let n = 0; n < 300; n += 1) {
        a.engine.publish(subjects[n % 3], Buffer.from(String(n)));
      }
      const got = await b.log.take('message', 300);
      const all = Array.from({ length: 300 }, (_, n) => n);
      const numbers = (messages) => messages.map(({ text }) => Number(text));
      if (broker.isOrdered !== false) assert.deepEqual(numbers(got), all);
      for (const [at, of] of subjects.entries()) {
        assert.deepEqual(
          numbers(got.filter(({ subject }) => subject === of)),
          all.filter((n) => n % 3 === at),
        );
      }
    });

    it('delivers its own messages to an engine', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      await a.engine.subscribe('x.h');
      a.engine.publish('x.h', Buffer.from('mine'));
      assert.equal(await message(a.log), 'mine');
    });

    it('passes any bytes, of up to 1 MiB less 1 KiB, unchanged', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      assert.ok(a.max_payload >= 1024 * 1024);
      await a.engine.subscribe('x.a');
      const bytes = Buffer.alloc(1024 * 1024 - 1024, Buffer.from([0, 255, 13, 10, 128, 1]));
      a.engine.publish('x.a', bytes);
      const got = await a.log.next('message');
      assert.ok(got.bytes.equals(bytes));
    });

    it('delivers nothing of a subject after unsubscribing from it', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      await a.engine.subscribe('x.g.1.left');
      await a.engine.subscribe('x.g.1.kept');
      await a.engine.unsubscribe('x.g.1.left');
      await a.engine.flush();
      a.engine.publish('x.g.1.left', Buffer.from('no'));
      a.engine.publish('x.g.1.kept', Buffer.from('yes'));
      assert.equal(await message(a.log), 'yes');
    });

    it('counts a second subscription to a subject as the first one', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      await a.engine.subscribe('x.a');
      await a.engine.subscribe('x.a');
      for (const text of ['one', 'two']) a.engine.publish('x.a', Buffer.from(text));
      assert.deepEqual([await message(a.log), await message(a.log)], ['one', 'two']);
    });

    it('subscribes to all subjects below one, if it says that it can', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      if (!a.engine.wildcards) return;
      await a.engine.subscribe('x.g.7.*');
      a.engine.publish('x.g.8.room', Buffer.from('other shard'));
      a.engine.publish('x.g.7.room', Buffer.from('this shard'));
      const { subject, text } = await a.log.next('message');
      assert.deepEqual({ subject, text }, { subject: 'x.g.7.room', text: 'this shard' });
    });

    it('reports that a subject has no subscriber, for a message with a ticket', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      await a.engine.subscribe('x.n.a');
      a.engine.publish('x.n.gone', Buffer.from('hello'), 17);
      assert.equal((await a.log.next('nobody')).ticket, 17);
      a.engine.publish('x.n.a', Buffer.from('hello'), 18);
      assert.equal(await message(a.log), 'hello');
      await a.engine.flush();
      assert.equal(a.log.all('nobody').length, 1);
    });

    it('makes 2,000 subscriptions at once', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      const subjects = Array.from({ length: 2000 }, (_, n) => `x.g.1.room${n}`);
      await deadline(
        Promise.all(subjects.map((subject) => a.engine.subscribe(subject))),
        'the subscriptions',
      );
      for (const subject of subjects) a.engine.publish(subject, Buffer.from(subject));
      const got = (await a.log.take('message', subjects.length)).map(({ text }) => text);
      if (broker.isOrdered === false) assert.deepEqual(got.sort(), subjects.sort());
      else assert.deepEqual(got, subjects);
    });

    it('is up again with all its subscriptions after the broker was away', async (t) => {
      const broker = await start(t);
      if (broker.canStop === false) return t.skip('the primary ends its workers with itself');
      const a = await open(t, broker, 'x.n.a');
      const b = await open(t, broker, 'x.n.b');
      await a.engine.subscribe('x.a');
      await broker.stop();
      assert.ok((await a.log.next('down')).cause instanceof Error);
      await b.log.next('down');
      await assert.rejects(async () => a.engine.flush());
      a.engine.publish('x.a', Buffer.from('lost'));
      const late = a.engine.subscribe('x.late');
      await broker.start();
      await a.log.next('up');
      await b.log.next('up');
      await deadline(late, 'the subscription that was made meanwhile');
      // A client on a busy machine may lose its new connection again. Messages that are published
      // then are lost.
      let isOver = false;
      const publishUntilItArrives = async (subject, text) => {
        const isThere = () => a.log.all('message').some((one) => one.text === text);
        while (!isThere() && !isOver) {
          b.engine.publish(subject, Buffer.from(text));
          await b.engine.flush().catch(() => {});
          await turn();
        }
      };
      for (const [subject, text] of [
        ['x.a', 'after'],
        ['x.late', 'late'],
      ]) {
        await deadline(publishUntilItArrives(subject, text), () => `${text}: ${a.log.summary()}`);
      }
      isOver = true;
      const texts = a.log.all('message').map(({ text }) => text);
      assert.deepEqual(new Set(texts), new Set(['after', 'late']));
    });

    it('ends its waits if the broker is lost, also with a client that it has made', async (t) => {
      const broker = await start(t);
      if (broker.suspend === undefined) return t.skip('this broker cannot be suspended');
      const opened = [await open(t, broker, 'x.n.a'), await open(t, broker, 'x.n.b', broker.url())];
      await broker.suspend();
      const confirmed = opened.map(({ engine }) =>
        assert.rejects(
          deadline(engine.flush(), 'the end of a confirmation'),
          (err) => !/^gave up/.test(err.message),
        ),
      );
      const subscribed = opened.map(({ engine }) => engine.subscribe('x.late'));
      await broker.stop();
      await Promise.all(confirmed);
      await broker.start();
      await deadline(Promise.all(subscribed), 'the subscriptions');
      for (const { log } of opened) await log.next('up');
    });

    it('can be opened again after it was closed', async (t) => {
      const broker = await start(t);
      const engine = broker.url?.() ?? (await broker.engine());
      const first = await open(t, broker, 'x.n.a', engine);
      await engine.subscribe('x.a');
      await engine.close();
      const second = await open(t, broker, 'x.n.a', engine);
      await engine.subscribe('x.b');
      engine.publish('x.a', Buffer.from('nobody hears it'));
      engine.publish('x.b', Buffer.from('heard'));
      assert.equal(await message(second.log), 'heard');
      assert.equal(first.log.all('message').length, 0);
    });

    it('has few bytes pending once the broker has confirmed what was published', async (t) => {
      const broker = await start(t);
      const a = await open(t, broker, 'x.n.a');
      for (let n = 0; n < 100; n += 1) a.engine.publish('x.a', Buffer.alloc(10_000));
      await a.engine.flush();
      assert.ok(a.engine.pending() < 10_000);
    });
  });
}
