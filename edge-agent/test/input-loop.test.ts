import { durationMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import type { RawMessage } from '../src/ingest/raw-message.ts';
import { InputLoop, type InputParts } from '../src/input-loop.ts';
import { limits } from '../src/limits.ts';

describe('the loop that takes deliveries', () => {
  it('asks for one when there is room for it, so that it holds what has come by then', async () => {
    let below = (): void => undefined;
    const queue = {
      waiting: limits.processingItemsMax + 1,
      whenBelow: async () => new Promise<void>((resolve) => (below = resolve)),
    };
    const refusals = { has: () => false, whenTaken: async () => undefined };
    const intake = { take: () => ({ readings: [], arrivals: [], quarantined: [] }), settled: () => undefined };
    const parts = { queue, refusals, intake } as unknown as InputParts;
    let asked = 0;
    async function* deliveries() {
      asked += 1;
      yield { items: [] as RawMessage[], ack: async () => undefined, nack: async () => undefined };
    }
    const running = new InputLoop(parts).run(deliveries(), new AbortController().signal);
    await new Promise((resolve) => setTimeout(resolve, durationMs(5)));
    expect(asked).toBe(0);
    queue.waiting = 0;
    below();
    await running;
    expect(asked).toBe(1);
  });
});
