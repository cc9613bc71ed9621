import { epochMs } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { expect, it, vi } from 'vitest';

import { waitFor } from '../../../tests/support/index.ts';
import { processorLimits } from '../../src/limits.ts';
import type { Lane } from '../../src/partition-parts.ts';
import type { reprocessPartition } from '../../src/reprocess/reprocess-partition.ts';
import { Reprocessor } from '../../src/reprocess/reprocessor.ts';
import { MemoryStore } from '../support/memory-store.ts';

vi.mock('../../src/reprocess/reprocess-partition.ts', () => ({
  reprocessPartition: (async ({ unfinished }) => {
    const silent = Array.from({ length: processorLimits.replayGatewaysShown }, (_, i) => `site/gw-${i}`);
    unfinished(silent.map((gateway) => ({ gateway, why: 'nothing-held' })));
    unfinished([{ gateway: 'site/gw', why: 'stuck' }]);
  }) satisfies typeof reprocessPartition,
}));

it('names the gateway first that could not be made again, and does not call the run done, among however many silent ones', async () => {
  const lane = { runner: { partition: { number: 0 } } } as unknown as Lane;
  const stream = () => ({ look: async () => undefined, read: async () => undefined });
  const logger = createLogger('test', 'silent');
  const reprocessor = new Reprocessor({ lanes: [lane], store: new MemoryStore(), stream, logger });
  reprocessor.start({ from: epochMs(0), to: epochMs(1), dryRun: false });
  await waitFor('it ends', () => reprocessor.status?.state !== 'running');
  expect(reprocessor.status?.gateways).toHaveLength(processorLimits.replayGatewaysShown);
  expect(reprocessor.status?.gateways[0]?.why).toBe('stuck');
  expect(reprocessor.status?.state).toBe('failed');
});
