import { days } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { describe, expect, it } from 'vitest';

import type { CheckpointState } from '../src/checkpoint/format.ts';
import { DeadLetters } from '../src/dead-letters/dead-letters.ts';
import { deafObserver } from '../src/floor-observer.ts';
import { assemblePartition, type Lane } from '../src/partition-parts.ts';
import { resourcesPerTest } from '../../tests/support/index.ts';
import { anomaly, batchOf, BASE, heldRight, messageOf, windowConfig } from './support/floor.ts';
import { MemoryStore } from './support/memory-store.ts';

const resources = resourcesPerTest();
const LINGER_MS = 60_000;

/** A partition that goes on from `from`, at a store in which a request of a killed process may land for a minute. */
async function begun(from: CheckpointState | undefined): Promise<Lane> {
  const store = new MemoryStore();
  store.lingerMs = LINGER_MS;
  const deadLetters = await DeadLetters.open(await resources.directory(), 16 * 1024 * 1024);
  resources.defer(() => deadLetters.close());
  const lane = assemblePartition({
    number: 3,
    windows: windowConfig(),
    streamAgeMax: days(7),
    file: { path: 'nowhere', save: async () => 1 },
    loaded: from === undefined ? { kind: 'none' } : { kind: 'newest', state: from },
    store,
    deadLetters,
    observer: deafObserver,
    logger: createLogger('test', 'silent'),
    right: heldRight,
  });
  lane.runner.begun = true;
  return lane;
}

/** An episode opens and closes; the partition may send what a checkpoint holds. */
async function closeEpisode({ runner }: Lane): Promise<void> {
  const batch = batchOf([anomaly(1, 1, 'opened'), anomaly(2, 1, 'closed', 3)], { lane: 'anomaly' });
  runner.target.apply({ ...messageOf(batch, 7), seq: 7, timestampNanos: BigInt(BASE) * 1_000_000n } as never);
  await runner.checkpoint();
}

describe('an update of a row', () => {
  it('waits until no request of a process before can land, also when that was killed before its first checkpoint', async () => {
    const lane = await begun(undefined);
    await closeEpisode(lane);
    const { outbox } = lane.runner.partition;
    const now = performance.now();
    expect(outbox.take(10, now)).toEqual([]);
    expect(outbox.take(10, now + LINGER_MS)).toMatchObject([{ table: 'anomaly', phase: 'closed' }]);
  });

  it('leaves at once after a clean stop', async () => {
    const before = await begun(undefined);
    const lane = await begun(before.runner.partition.capture(true));
    await closeEpisode(lane);
    const { outbox } = lane.runner.partition;
    expect(outbox.take(10, performance.now())).toMatchObject([{ table: 'anomaly', phase: 'closed' }]);
  });
});
