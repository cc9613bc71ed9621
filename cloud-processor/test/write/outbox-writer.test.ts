import { createLogger } from '@floorwatch/runtime';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { Outbox } from '../../src/write/outbox.ts';
import { OutboxWriter } from '../../src/write/outbox-writer.ts';
import { StoreError } from '../../src/write/store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { windowRow } from './sample-rows.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

it('asks a store that says when to come back not before then', async () => {
  const store = new MemoryStore();
  await store.connect(new AbortController().signal);
  store.failure = new StoreError('busy', 'come back later', { retryAfterMs: 45_000 });
  const attempts = vi.spyOn(store, 'write');
  const outbox = new Outbox();
  const stop = new AbortController();
  const writer = new OutboxWriter({
    outbox,
    store,
    deadLetters: { addRows: () => Promise.reject(new Error('nothing is refused')) },
    logger: createLogger('test', 'silent'),
    settle: () => outbox.settle(),
  });
  const running = writer.run(stop.signal);
  outbox.put(windowRow());
  await vi.advanceTimersByTimeAsync(44_900);
  expect(attempts).toHaveBeenCalledTimes(1);
  store.failure = undefined;
  await vi.advanceTimersByTimeAsync(200);
  expect(attempts).toHaveBeenCalledTimes(2);
  expect(outbox.size).toBe(0);
  stop.abort();
  await running;
});
