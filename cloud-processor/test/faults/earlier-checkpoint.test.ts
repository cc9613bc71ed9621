import { truncate } from 'node:fs/promises';
import path from 'node:path';

import { partitionOf } from '@floorwatch/contracts';
import { expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { addsUp } from '../../src/verify/describe-report.ts';
import { BASE, batchOf, GATEWAY, rollups, start, tick } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, hasStream, startPipeline } from '../support/running.ts';

vi.setConfig({ testTimeout: 60_000 });

const resources = resourcesPerTest();
const idle = partitionOf(GATEWAY);
/** A gateway of another partition. */
const other = Array.from({ length: 100 }, (_, i) => ({ ...GATEWAY, gateway: `other-${i}` })).find(
  (name) => partitionOf(name) !== idle,
)!;

const reading = (number: number) => rollups(number, [{ sensor: 0, at: BASE + number * 10_000, value: number }]);

it('a partition that begins from its earlier checkpoint has compared and can be verified, although others go on and nothing comes for it', async () => {
  const { url } = await resources.nats();
  const publisher = await connectPublisher(resources, url);
  const options = { url, dataDir: await resources.directory(), store: new MemoryStore() };
  const partitions = [idle, partitionOf(other)];
  const one = await startPipeline(resources, { ...options, partitions });
  await waitFor('the stream exists', () => hasStream(publisher));
  await publisher.publish(batchOf([start(), reading(2), tick(3, BASE + 40_000)]));
  await waitFor('it is applied', () => one.partition().cursor.position === 1);
  await publisher.publish(batchOf([start(), reading(2)], other));
  await one.stop();
  await truncate(path.join(options.dataDir, `partition-${String(idle).padStart(2, '0')}.ndjson`), 100);

  const two = await startPipeline(resources, { ...options, partitions });
  await waitFor('it has compared', () => two.pipeline.lanes.length > 0 && !two.partition().outbox.comparing);
  const { verifier } = two.pipeline;
  await waitFor('it verifies', () => verifier?.start({}) === 'started');
  await waitFor('it is verified', () => verifier?.status?.state !== 'running');
  expect(verifier?.status?.problem).toBeNull();
  expect(addsUp(verifier!.status!)).toBe(true);
});
