import type { WindowRow } from '@floorwatch/contracts';
import { expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { BASE, batchOf, MINUTE, rollups, start, tick } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, hasStream, startPipeline } from '../support/running.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const resources = resourcesPerTest();

it('a refused window does not replace what late readings have made of it since', async () => {
  const { url } = await resources.nats();
  const publisher = await connectPublisher(resources, url);
  const store = new MemoryStore();
  store.unfit = (row) => row.table === 'window' && row.start === BASE && row.size === MINUTE;
  const { pipeline, partition } = await startPipeline(resources, { url, dataDir: await resources.directory(), store });
  await waitFor('the stream exists', () => hasStream(publisher));
  const reading = (number: number, at: number) => rollups(number, [{ sensor: 0, at: BASE + at, value: at }]);
  await publisher.publish(batchOf([start(), reading(2, 1_000), tick(3, BASE + 2 * MINUTE)]));
  await waitFor('the window is a dead letter', () => pipeline.deadLetters?.open === 1);
  const [letter] = pipeline.deadLetters?.list(1).items ?? [];

  store.unfit = () => false;
  await publisher.publish(batchOf([reading(4, 2_000)]));
  const windows = (): WindowRow[] =>
    store.log.flatMap(({ row }) => (row.table === 'window' && row.start === BASE && row.size === MINUTE ? [row] : []));
  await waitFor('the late reading is stored', () => windows().length > 0 && partition().outbox.size === 0);
  expect(await pipeline.retryDeadLetter(letter!.id)).toEqual({
    kind: 'impossible',
    message: expect.stringMatching(/reprocess --from 2026-\S+ --to 2026-/) as string,
  });
  expect(windows()).toHaveLength(1);
  expect(pipeline.deadLetters?.open).toBe(1);
});
