import { createLogger } from '@floorwatch/runtime';
import { expect, it } from 'vitest';

import { PartitionClaims } from '../../src/claim/partition-claims.ts';
import { Tenure } from '../../src/claim/tenure.ts';
import { describeClaims } from '../../src/health-words.ts';

it('claims that NATS does not take are told with its reason and what to do, instead of a wait without an end', async () => {
  const tenure = new Tenure(1);
  const claims = new PartitionClaims({
    open: () => Promise.reject(new Error('insufficient storage resources available')),
    partitions: [3],
    folder: 'folder',
    tenure,
    progress: () => ({ checkpoint: null, run: 0 }),
    logger: createLogger('test', 'silent'),
  });
  expect(describeClaims(tenure, claims.problem)).toBe('not taken yet');
  const stopping = new AbortController();
  const taking = claims.take(stopping.signal);
  await expect.poll(() => claims.problem).toBe('insufficient storage resources available');
  stopping.abort();
  await taking;
  expect(describeClaims(tenure, claims.problem)).toMatch(
    /^not taken yet: NATS does not take them \(insufficient storage.*What to do: see whether nats-server runs.*its disk is full/,
  );
});

it('claims that were not renewed for minutes are told with the time, the reason and what to do', () => {
  const ended = { taken: true, mayAct: false, msLeft: -180_000 };
  expect(describeClaims(ended, 'timeout')).toMatch(
    /^ended 180 s ago: NATS has not taken their renewal \(timeout\).*What to do:/,
  );
  expect(describeClaims({ ...ended, msLeft: 1_000 }, undefined)).toMatch(/^about to end: .*What to do:/);
});
