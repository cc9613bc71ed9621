import { describe, expect, it, vi } from 'vitest';

import { loopTime, resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { StoreError } from '../../src/write/store.ts';
import { anomaly, BASE, batchOf, rollups } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, hasStream, startPipeline } from '../support/running.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const resources = resourcesPerTest();

const episode = [anomaly(1, 1, 'opened'), anomaly(2, 1, 'closed', 4)];

describe('a clean stop', () => {
  it('saves what was read, writes what waited for that, and is quick', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const store = new MemoryStore();
    const dataDir = await resources.directory();
    const one = await startPipeline(resources, { url, dataDir, store });
    await waitFor('the stream exists', () => hasStream(publisher));
    await publisher.publish(batchOf(episode, { lane: 'anomaly' }));
    await publisher.publish(batchOf([rollups(1, [{ sensor: 0, at: BASE, value: 1 }])]));
    await waitFor('both are applied', () => one.partition().counts.batches === 2);
    await one.stop();
    expect(Object.values(store.contents('anomaly')).map((text) => JSON.parse(text) as unknown)).toMatchObject([
      { phase: 'closed' },
    ]);
    expect(store.inFlight).toBe(0);
    const two = await startPipeline(resources, { url, dataDir, store });
    expect(two.partition().windows.openWindows).toBe(3);
    expect(two.partition().cursor.position).toBe(2);
    await waitFor('it reads', () => two.pipeline.health().parts['stream'] === 'ok');
    expect(two.partition().counts.batches).toBe(0);
  });

  it('with the store down keeps the unsent rows for the next start, and ends all the same', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const store = new MemoryStore();
    const dataDir = await resources.directory();
    const one = await startPipeline(resources, { url, dataDir, store });
    await waitFor('the stream exists', () => hasStream(publisher));
    await waitFor('the store is connected', () => one.pipeline.health().parts['store'] === 'ok');
    store.failure = new StoreError('unreachable', 'down');
    await publisher.publish(batchOf(episode, { lane: 'anomaly' }));
    await waitFor('it is applied', () => one.partition().counts.batches === 1);
    const took = loopTime();
    await one.stop();
    expect(took()).toBeLessThan(5_000);
    store.failure = undefined;
    await startPipeline(resources, { url, dataDir, store });
    await waitFor('the closed episode is stored', () =>
      Object.values(store.contents('anomaly')).some((text) => text.includes('"closed"')),
    );
  });

  it('before NATS ever answered ends at once', async () => {
    const server = await resources.nats();
    await server.stop();
    const one = await startPipeline(resources, {
      url: server.url,
      dataDir: await resources.directory(),
      store: new MemoryStore(),
    });
    await expect(one.stop()).resolves.toBeUndefined();
  });

  it('frees the data folder', async () => {
    const { url } = await resources.nats();
    const dataDir = await resources.directory();
    const one = await startPipeline(resources, { url, dataDir, store: new MemoryStore() });
    await expect(startPipeline(resources, { url, dataDir, store: new MemoryStore() })).rejects.toMatchObject({
      code: 'locked',
    });
    await one.stop();
    const two = await startPipeline(resources, { url, dataDir, store: new MemoryStore() });
    await two.stop();
  });
});
