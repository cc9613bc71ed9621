import { epochMs } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { CheckpointFile } from '../../src/checkpoint/checkpoint-file.ts';
import { DeadLetters } from '../../src/dead-letters/dead-letters.ts';
import { SafeFloors } from '../../src/floors/safe-floors.ts';
import { PartitionRunner } from '../../src/partition-runner.ts';
import { Partition } from '../../src/partition.ts';
import { OutboxWriter } from '../../src/write/outbox-writer.ts';
import { Outbox } from '../../src/write/outbox.ts';
import { deaf, heldRight, partitionBasics } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { windowRow } from '../write/sample-rows.ts';

const resources = resourcesPerTest();
const logger = createLogger('test', 'silent');

describe('a dead letter that is not on the disk', () => {
  it('holds up the checkpoint that would pass over its message', async () => {
    const dataDir = await resources.directory();
    const deadLetters = await DeadLetters.open(dataDir, 16 * 1024 * 1024);
    const partition = new Partition({ ...partitionBasics, number: 3, observer: deaf, deadLetters, from: undefined });
    const file = new CheckpointFile(dataDir, 3, 'test');
    const runner = new PartitionRunner({
      partition,
      file,
      deadLetters,
      floors: new SafeFloors(),
      logger,
      right: heldRight,
    });
    runner.begun = true;
    // A log that is closed takes nothing, like a disk that fails.
    await deadLetters.close();
    partition.apply({ subject: 'junk', data: Buffer.from('x'), sequence: 1, storedAt: epochMs(1) }, epochMs(1));
    await runner.checkpoint();
    expect(runner.checkpoints).toMatchObject({ saved: 0, failed: 1, failing: true });
    expect(await new CheckpointFile(dataDir, 3, 'test').load()).toEqual({ kind: 'none' });
  });

  it('keeps its row in the outbox', async () => {
    const outbox = new Outbox();
    let fails = true;
    const kept: unknown[] = [];
    const deadLetters = {
      async addRows(rows: readonly unknown[]): Promise<void> {
        if (fails) throw new Error('the disk is full');
        kept.push(...rows);
      },
    };
    const store = new MemoryStore();
    store.unfit = () => true;
    let settled = 0;
    const settle = (): void => {
      settled += 1;
      outbox.settle();
    };
    const writer = new OutboxWriter({ outbox, store, deadLetters, logger, settle });
    const stop = new AbortController();
    await store.connect(stop.signal);
    outbox.put(windowRow());
    const first = writer.run(stop.signal);
    await new Promise((resolve) => setTimeout(resolve, 100));
    stop.abort();
    await first;
    expect([settled, outbox.size, kept.length]).toEqual([0, 1, 0]);

    fails = false;
    const again = new Outbox({ ordinal: 0, rows: [windowRow()], stored: { gateways: [], runsTo: 0 }, updatesFrom: 0 });
    const next = new AbortController();
    const second = new OutboxWriter({ outbox: again, store, deadLetters, logger, settle: () => again.settle() });
    const running = second.run(next.signal);
    await waitFor('the row is a dead letter', () => kept.length === 1 && again.size === 0);
    next.abort();
    await running;
  });
});
