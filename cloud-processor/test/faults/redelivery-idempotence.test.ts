import { INGEST_STREAM } from '@floorwatch/contracts';
import { describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { BASE, batchOf, BUCKET, rollups, tick, withoutRuns } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, hasStream, startPipeline } from '../support/running.ts';
import { scriptedStream } from '../support/script.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const resources = resourcesPerTest();
/** A stop leaves late readings that are still being gathered to the next start. */
const isStored = ({ partition }: Awaited<ReturnType<typeof startPipeline>>): boolean =>
  partition().windows.lateWindows.rollups === 0 && partition().outbox.size === 0;

const TABLES = ['window', 'anomaly', 'late', 'gateway'] as const;

describe('the scripted stream through a real server', () => {
  it('gives the same rows whether read in one go, sent three times, or with a stop after every message', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const messages = scriptedStream().filter(({ subject }) => !subject.includes('someone'));
    const store = new MemoryStore();
    const one = await startPipeline(resources, { url, dataDir: await resources.directory(), store });
    await waitFor('the stream exists', () => hasStream(publisher));
    for (const { subject, data } of messages) await publisher.client.publish(subject, data);
    await waitFor('all is applied', () => one.partition().counts.batches === messages.length);
    await waitFor('all is stored', () => isStored(one));
    await one.stop();
    const expected = withoutRuns(store.contents(...TABLES));
    expect(Object.keys(expected)).toHaveLength(20);

    const restarted = new MemoryStore();
    const dataDir = await resources.directory();
    await publisher.manager.streams.purge(INGEST_STREAM.name);
    for (const [index, { subject, data }] of messages.entries()) {
      const step = await startPipeline(resources, { url, dataDir, store: restarted });
      await publisher.client.publish(subject, data);
      await waitFor(`message ${index} is applied`, () => step.partition().counts.batches === 1);
      if (index === messages.length - 1) await waitFor('all is stored', () => isStored(step));
      await step.stop();
    }
    expect(withoutRuns(restarted.contents(...TABLES))).toEqual(expected);

    const thrice = new MemoryStore();
    await publisher.manager.streams.purge(INGEST_STREAM.name);
    const two = await startPipeline(resources, { url, dataDir: await resources.directory(), store: thrice });
    for (const { subject, data } of messages) {
      for (let copy = 0; copy < 3; copy++) await publisher.client.publish(subject, data);
    }
    await waitFor('all is applied', () => two.partition().counts.batches === 3 * messages.length);
    await waitFor('all is stored', () => isStored(two));
    await two.stop();
    expect(withoutRuns(thrice.contents(...TABLES))).toEqual(expected);
  });

  it('reads all partitions, each in its own order', async () => {
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const store = new MemoryStore();
    const partitions = Array.from({ length: 16 }, (_, partition) => partition);
    const one = await startPipeline(resources, { url, dataDir: await resources.directory(), store, partitions });
    await waitFor('the stream exists', () => hasStream(publisher));
    const gateways = Array.from({ length: 40 }, (_, i) => `gw-${i}`);
    for (let i = 1; i <= 6; i++) {
      const record = rollups(i, [{ sensor: 0, at: BASE + (i - 1) * BUCKET, value: i }]);
      for (const gateway of gateways) await publisher.publish(batchOf([record], { gateway }));
    }
    for (const gateway of gateways) await publisher.publish(batchOf([tick(7, BASE + 3 * 3_600_000)], { gateway }));
    await waitFor('all windows are stored', () => Object.keys(store.contents('window')).length === 40 * 3);
    await one.stop();
    for (const text of Object.values(store.contents('window'))) expect(text).toContain('"n":6');
    expect(one.pipeline.deadLetters?.rejected.size).toBe(0);
  });
});
