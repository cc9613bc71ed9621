import { INGEST_STREAM } from '@floorwatch/contracts';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { BASE, batchOf, BUCKET, rollups, start, tick } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, hasStream, type Publisher, startPipeline } from '../support/running.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const resources = resourcesPerTest();

/** Batch `i`: ten seconds of one sensor, the first behind the start record. */
const batch = (i: number) => {
  const record = rollups(i + 1, [{ sensor: 0, at: BASE + i * BUCKET, value: i }]);
  return batchOf(i === 1 ? [start(), record] : [record]);
};
const end = (i: number) => batchOf([tick(i + 1, BASE + 100 * 3_600_000)]);

const streamReady = (publisher: Publisher) => waitFor('the stream exists', () => hasStream(publisher));

const minuteCounts = (store: MemoryStore): number[] =>
  Object.entries(store.contents('window'))
    .filter(([key]) => key.includes('/60000/'))
    .map(([, text]) => (JSON.parse(text) as { aggregate: { n: number } }).aggregate.n);

describe('the stream', () => {
  it('is made by the processor, twice without a change, and its limits follow the configuration', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const dataDir = await resources.directory();
    const one = await startPipeline(resources, { url, dataDir, store: new MemoryStore() });
    await streamReady(publisher);
    const before = await publisher.manager.streams.info(INGEST_STREAM.name);
    expect(before.config).toMatchObject({
      retention: 'limits',
      discard: 'old',
      storage: 'file',
      max_bytes: 64 * 1024 * 1024,
      max_age: 7 * 86_400 * 1e9,
      subjects: ['ingest.v1.*.*.*.*'],
    });
    await one.stop();
    await publisher.manager.streams.update(INGEST_STREAM.name, { ...before.config, max_bytes: 32 * 1024 * 1024 });
    await startPipeline(resources, { url, dataDir, store: new MemoryStore() });
    await waitFor('the size is as configured', async () => {
      const { config } = await publisher.manager.streams.info(INGEST_STREAM.name);
      return config.max_bytes === 64 * 1024 * 1024;
    });
    expect((await publisher.manager.streams.info(INGEST_STREAM.name)).created).toBe(before.created);
  });

  it.each([
    ['with another retention', { retention: 'workqueue' as const }, 'has the retention "workqueue"'],
    ['in memory', { storage: 'memory' as const }, 'is kept in memory'],
    ['with other subjects', { subjects: ['other.>'] }, 'lacks ingest.v1.*.*.*.*'],
    ['with a limit on messages', { max_msgs: 10 }, 'is limited to 10 messages'],
  ])('%s stops the start and says why', async (_what, more, message) => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    await publisher.manager.streams.add({ name: INGEST_STREAM.name, subjects: [...INGEST_STREAM.subjects], ...more });
    const one = await startPipeline(resources, { url, dataDir: await resources.directory(), store: new MemoryStore() });
    await expect(one.ended).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('nats-server', () => {
  it('killed and started again: reading goes on, every reading counts once', async () => {
    const server = await resources.nats();
    const publisher = await connectPublisher(resources, server.url);
    const store = new MemoryStore();
    const one = await startPipeline(resources, { url: server.url, dataDir: await resources.directory(), store });
    await streamReady(publisher);
    await publisher.publish(...[1, 2, 3].map((i) => batch(i)));
    await waitFor('three batches are applied', () => one.partition().counts.batches === 3);
    await server.kill9();
    await waitFor('the loss is seen', () => !one.pipeline.health().ok);
    await server.start();
    await publisher.publish(...[4, 5, 6].map((i) => batch(i)), end(7));
    await waitFor('the windows are stored', () => minuteCounts(store).length === 2, { timeoutMs: 30_000 });
    expect(minuteCounts(store)).toEqual([5, 1]);
    expect(one.partition().counts.ahead).toBe(0);
    expect(one.pipeline.health()).toMatchObject({ ok: true });
  });

  it('not there at the start: the processor waits for it', async () => {
    const server = await resources.nats();
    await server.stop();
    const store = new MemoryStore();
    await startPipeline(resources, { url: server.url, dataDir: await resources.directory(), store });
    await server.start();
    const publisher = await connectPublisher(resources, server.url);
    await streamReady(publisher);
    await publisher.publish(batch(1), end(2));
    await waitFor('the window is stored', () => minuteCounts(store).length === 1);
    expect(minuteCounts(store)).toEqual([1]);
  });
});

describe('a stream without messages', () => {
  it('is read after a restart, too', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const dataDir = await resources.directory();
    const one = await startPipeline(resources, { url, dataDir, store: new MemoryStore() });
    await waitFor('it reads', () => one.pipeline.health().ok);
    await one.stop();
    const two = await startPipeline(resources, { url, dataDir, store: new MemoryStore() });
    await waitFor('it reads again', () => two.pipeline.health().ok);
    expect(two.pipeline.lanes[0]?.reader).toMatchObject({ restarts: 0 });
    await publisher.publish(batch(1));
    await waitFor('a batch is applied', () => two.partition().counts.batches === 1);
  });
});

describe('a stream that was lost', () => {
  it('while the processor runs is made anew and read from its first message', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const store = new MemoryStore();
    const one = await startPipeline(resources, { url, dataDir: await resources.directory(), store });
    await streamReady(publisher);
    await publisher.publish(...[1, 2, 3, 4].map((i) => batch(i)));
    await waitFor('four batches are applied', () => one.partition().counts.batches === 4);
    await publisher.manager.streams.delete(INGEST_STREAM.name);
    await waitFor('the stream exists again', () => hasStream(publisher), { timeoutMs: 30_000 });
    // 4 comes again, 5 and 6 were only in the lost stream, 7 is new. All have sequences that were read before.
    await publisher.publish(batch(4), batch(7), end(8));
    await waitFor('the hole is seen', () => one.partition().counts.ahead === 2, { timeoutMs: 30_000 });
    expect(one.partition().sequence.sourcesWaiting).toBe(1);
    await publisher.publish(batch(5), batch(6), batch(7), end(8));
    await waitFor('the windows are stored', () => minuteCounts(store).length === 2, { timeoutMs: 30_000 });
    expect(minuteCounts(store)).toEqual([5, 2]);
    expect(one.partition().counts).toMatchObject({ duplicates: 1, ahead: 2 });
    expect(one.partition().sequence.sourcesWaiting).toBe(0);
    expect(one.pipeline.lanes[0]?.reader?.moves.get('recreated')).toBe(1);
    expect(Object.values(store.contents('window')).some((text) => text.includes('"incomplete":true'))).toBe(false);
  });

  it('while the processor was stopped is read from its first message', async () => {
    const server = await resources.nats();
    const publisher = await connectPublisher(resources, server.url);
    const store = new MemoryStore();
    const dataDir = await resources.directory();
    const one = await startPipeline(resources, { url: server.url, dataDir, store });
    await streamReady(publisher);
    await publisher.publish(...[1, 2, 3].map((i) => batch(i)));
    await waitFor('three batches are applied', () => one.partition().counts.batches === 3);
    await one.stop();
    await publisher.manager.streams.delete(INGEST_STREAM.name);
    const two = await startPipeline(resources, { url: server.url, dataDir, store });
    await streamReady(publisher);
    await publisher.publish(batch(4), end(5));
    await waitFor('the window is stored', () => minuteCounts(store).length === 1, { timeoutMs: 30_000 });
    expect(minuteCounts(store)).toEqual([4]);
    expect(two.partition().counts).toMatchObject({ duplicates: 0, ahead: 0 });
    expect(two.pipeline.lanes[0]?.reader?.moves.get('recreated')).toBe(1);
  });

  it('at its beginning only is read from its first message, and what is gone is waited for', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const store = new MemoryStore();
    const dataDir = await resources.directory();
    const one = await startPipeline(resources, { url, dataDir, store });
    await streamReady(publisher);
    await publisher.publish(batch(1));
    await waitFor('a batch is applied', () => one.partition().counts.batches === 1);
    await one.stop();
    const rest = [...[2, 3, 4, 5].map((i) => batch(i)), end(6)];
    await publisher.publish(...rest);
    await publisher.manager.streams.purge(INGEST_STREAM.name, { seq: 4 });
    const two = await startPipeline(resources, { url, dataDir, store });
    await waitFor('the hole is seen', () => two.partition().counts.ahead === 3);
    expect(two.pipeline.lanes[0]?.reader?.moves.get('trimmed')).toBe(1);
    expect(store.contents('window')).toEqual({});
    await publisher.publish(...rest);
    await waitFor('the window is stored', () => minuteCounts(store).length === 1);
    expect(minuteCounts(store)).toEqual([5]);
  });
});
