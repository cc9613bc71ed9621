import { type AnomalyRow, epochMs, type Row } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { processorLimits } from '../../src/limits.ts';
import { Outbox } from '../../src/write/outbox.ts';
import { OutboxWriter } from '../../src/write/outbox-writer.ts';
import { rowKey } from '../../src/write/row-key.ts';
import { StoreError } from '../../src/write/store.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { anomalyRow, BASE, gatewayRow, MINUTE, windowRow } from './sample-rows.ts';

const HOUR = 3_600_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

it(
  'an hour without a store: few attempts, bounded memory, and then every newest value in order',
  { tags: ['long'], timeout: 60_000 },
  async () => {
    const store = new MemoryStore();
    await store.connect(new AbortController().signal);
    // What was sent without an answer may be carried out for a minute.
    store.lingerMs = 60_000;
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

    const newest = new Map<string, string>();
    const put = (row: Row): void => {
      outbox.put(row);
      newest.set(rowKey(row), JSON.stringify(row));
    };
    const episode = (second: number): AnomalyRow => {
      const phase = second === 0 ? 'opened' : second === HOUR / 1_000 ? 'closed' : 'updated';
      return anomalyRow({ phase, readings: second + 1 });
    };
    let refused = 0;
    /** What comes in a second: five windows and a report, if there is room, and an episode that goes on. */
    const second = async (at: number): Promise<void> => {
      put(episode(at));
      for (let i = 0; i < 6; i++) {
        if (outbox.size >= processorLimits.outboxRowsMax) refused += 1;
        else if (i === 5) put(gatewayRow({ at: epochMs(BASE + at) }));
        else put(windowRow({ start: epochMs(BASE + (at * 5 + i) * MINUTE) }));
      }
      outbox.saved(outbox.capture().ordinal);
      await vi.advanceTimersByTimeAsync(1_000);
    };

    await second(0);
    expect(store.log.length).toBeGreaterThan(0);
    attempts.mockClear();
    store.failure = new StoreError('unreachable', 'the store is down');
    for (let at = 1; at <= HOUR / 1_000; at++) await second(at);
    // 3,600 seconds with pauses of 15 to 30, after some shorter ones.
    expect(attempts.mock.calls.length).toBeGreaterThan(120);
    expect(attempts.mock.calls.length).toBeLessThan(260);
    expect(outbox.size).toBe(processorLimits.outboxRowsMax);
    expect(refused).toBeGreaterThan(1_000);
    expect(writer.trouble).toMatchObject({ retryable: true, message: 'the store is down' });

    store.failure = undefined;
    // The longest pause, and the minute in which an older value of a key may still land.
    await vi.advanceTimersByTimeAsync(processorLimits.retryPauseMsMax + store.lingerMs + 5_000);
    expect(outbox.size).toBe(0);
    expect(writer.trouble).toBeUndefined();
    stop.abort();
    await running;
    const stored = new Map(store.log.map(({ key, row }) => [key, JSON.stringify(row)]));
    expect(stored).toEqual(newest);
    const readings = store.log.flatMap(({ row }) => (row.table === 'anomaly' ? [row.readings] : []));
    expect(readings).toEqual(readings.toSorted((a, b) => a - b));
    expect(readings.at(-1)).toBe(HOUR / 1_000 + 1);
  },
);
