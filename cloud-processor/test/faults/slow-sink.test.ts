import { epochMs } from '@floorwatch/contracts';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { processorLimits } from '../../src/limits.ts';
import { StoreError } from '../../src/write/store.ts';
import { anomaly, BASE, batchOf, report, rollups, tick } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, hasStream, startPipeline } from '../support/running.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const resources = resourcesPerTest();

vi.mock('../../src/limits.ts', async (original) => {
  const { processorLimits: limits } = await original<{ readonly processorLimits: typeof processorLimits }>();
  // Small ones, so that a test can reach them.
  return {
    processorLimits: {
      ...limits,
      outboxRowsMax: 50,
      outboxRowsResume: 20,
      writeRowsMax: 10,
      retryPauseMs: 20,
      retryPauseMsMax: 200,
    },
  };
});

const stall: { open?: () => void } = {};
afterEach(() => stall.open?.());

async function running(store: MemoryStore) {
  const { url } = await resources.nats();
  const publisher = await connectPublisher(resources, url);
  const dataDir = await resources.directory();
  const one = await startPipeline(resources, { url, dataDir, store });
  await waitFor('the stream exists', () => hasStream(publisher));
  return { url, dataDir, publisher, one };
}

describe('a store that is down', () => {
  it('holds up reading at the limit, loses nothing, and gets everything when it is back', async () => {
    const store = new MemoryStore();
    const { publisher, one } = await running(store);
    await waitFor('the store is connected', () => one.pipeline.health().parts['store'] === 'ok');
    store.failure = new StoreError('unreachable', 'the store is down');
    for (let i = 1; i <= 200; i++) await publisher.publish(batchOf([report(i)]));
    await waitFor('reading waits', () => one.pipeline.lanes[0]?.runner.heldBack);
    expect(one.partition().outbox.size).toBe(50);
    const health = one.pipeline.health();
    expect(health.ok).toBe(false);
    expect(health.parts).toMatchObject({
      outbox: expect.stringContaining('full in 1 of 1') as string,
      store: 'the store is down',
    });
    // It stays there: a bounded number of rows, whatever comes.
    for (let i = 201; i <= 250; i++) await publisher.publish(batchOf([report(i)]));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(one.partition().outbox.size).toBe(50);
    store.failure = undefined;
    await waitFor('all rows are stored', () => Object.keys(store.contents('gateway')).length === 250, {
      timeoutMs: 30_000,
    });
    expect(one.pipeline.health()).toMatchObject({ ok: true });
    expect(one.pipeline.lanes[0]).toMatchObject({ writer: { written: 250, trouble: undefined } });
    expect(store.largestBatch).toBeLessThanOrEqual(processorLimits.writeRowsMax);
    expect(store.log.map(({ row }) => (row.table === 'gateway' ? row.at : 0))).toEqual(
      Array.from({ length: 250 }, (_, i) => BASE + i + 1),
    );
  });

  it('at the start is waited for, and one that refuses for good stops the start', async () => {
    const store = new MemoryStore();
    store.failure = new StoreError('unreachable', 'not yet');
    const { publisher, one } = await running(store);
    await publisher.publish(batchOf([report(1)]));
    // Without a checkpoint it must first know whether the store is empty.
    await waitFor('it waits', () => one.pipeline.health().parts['recovery'] !== undefined);
    expect(one.partition().counts.batches).toBe(0);
    store.failure = undefined;
    await waitFor('the row is stored', () => Object.keys(store.contents('gateway')).length === 1);

    const unauthorised = new MemoryStore();
    unauthorised.failure = new StoreError('unauthorised', 'the token is wrong');
    const { url } = await resources.nats();
    const two = await startPipeline(resources, { url, dataDir: await resources.directory(), store: unauthorised });
    await expect(two.ended).rejects.toMatchObject({ code: 'config-invalid', message: 'store: the token is wrong' });
  });

  it('is asked again only after the time that it names', async () => {
    const store = new MemoryStore();
    const { publisher, one } = await running(store);
    await waitFor('the store is connected', () => one.pipeline.health().parts['store'] === 'ok');
    store.failure = new StoreError('busy', 'too many requests', { retryAfterMs: 700 });
    await publisher.publish(batchOf([report(1)]));
    await waitFor('it is busy', () => one.pipeline.lanes[0]?.writer.failures === 1);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(one.pipeline.lanes[0]?.writer.failures).toBe(1);
    store.failure = undefined;
    await waitFor('the row is stored', () => Object.keys(store.contents('gateway')).length === 1);
  });
});

describe('a slow store', () => {
  it('has one request of a partition at a time, and gets no running values meanwhile', async () => {
    const store = new MemoryStore();
    const { publisher, one } = await running(store);
    await waitFor('the store is connected', () => one.pipeline.health().parts['store'] === 'ok');
    store.stall = new Promise((resolve) => (stall.open = resolve));
    for (let i = 1; i <= 30; i++) await publisher.publish(batchOf([report(i)]));
    await waitFor('rows wait', () => one.partition().outbox.size === 30);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(store.inFlightMax).toBe(1);
    stall.open?.();
    store.stall = undefined;
    await waitFor('all rows are stored', () => Object.keys(store.contents('gateway')).length === 30);
    await publisher.publish(batchOf([rollups(31, [{ sensor: 0, at: BASE, value: 1 }])]));
    await waitFor('running values come', () => Object.keys(store.contents('window_live')).length === 3);
    expect(one.pipeline.live.written).toBe(3);
  });
});

describe('rows that the store will never take', () => {
  it('are counted, become dead letters, and hold nothing up', async () => {
    const store = new MemoryStore(1);
    store.unfit = (row) => row.table === 'gateway' && row.version === 'unfit';
    const { publisher, one } = await running(store);
    const now = epochMs(Math.floor(Date.now() / 1_000) * 1_000);
    await publisher.publish(batchOf([{ ...report(1), at: now, version: 'unfit' }]));
    // Older than the store keeps rows.
    await publisher.publish(batchOf([anomaly(1, 1, 'opened')], { lane: 'anomaly' }));
    // Of another instant: a row of the same key would take the place of the first before that is sent.
    await publisher.publish(batchOf([{ ...report(2), at: epochMs(now - 1_000) }, tick(3, BASE)]));
    await waitFor('the good row is stored', () => Object.keys(store.contents('gateway')).length === 1);
    const writer = one.pipeline.lanes[0]?.writer;
    await waitFor('the others are refused', () => writer?.refused === 1 && writer.expired === 1);
    const letters = one.pipeline.deadLetters;
    const [letter] = letters?.list(10).items ?? [];
    expect(letters?.open).toBe(1);
    expect(await letters?.get(letter?.id ?? '')).toMatchObject({ row: { table: 'gateway' }, message: 'unfit' });
    expect(one.pipeline.health()).toMatchObject({ ok: true, parts: { retention: '1 rows were too old to be stored' } });
    await waitFor('nothing waits', () => one.partition().outbox.size === 0);
  });
});
