import { epochMs, FLOOR_VERSION } from '@floorwatch/contracts';
import { afterEach, describe, expect, it, vi } from 'vitest';

import type { LaneSpool } from '../../src/lane-spool.ts';
import { encodeSpooled } from '../../src/spooled-record.ts';
import { SpoolSender } from '../../src/uplink/spool-sender.ts';
import { silentLogger } from '../support/devices.ts';

const EPOCH = '1-0123456789abcdef';
const START = encodeSpooled({
  record: { kind: 'start', number: 1, predecessor: null, at: epochMs(0), clock: 'synchronised' },
  sensors: [],
  position: 0,
  at: epochMs(0),
});

/** A lane with one item, which was sent before this start. */
const lane = {
  lane: 'anomaly',
  first: 1,
  next: 2,
  beginning: 1,
  bytes: 100,
  sentThrough: 2,
  markedThrough: 1,
  heldFrom: (from: number) => from,
  read: async () => ({ kind: 'records', epoch: EPOCH, from: 1, to: 1, number: 1, items: [START] }),
  locate: (_epoch: string, number: number) => Math.min(number, 2),
  waitForItem: async (_from: number, signal: AbortSignal) =>
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
  release: async () => undefined,
  saveSentThrough: async () => undefined,
} as unknown as LaneSpool;

afterEach(() => vi.useRealTimers());

describe('a lane in which nothing new comes', () => {
  it('is sent again every minute until a processor says that it has it, so that one that never heard of it can ask', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    let published = 0;
    const link = {
      isConnected: true,
      batchBytesMax: 10_000,
      whenConnected: async () => undefined,
      publish: async () => ({ seq: ++published }),
    };
    const name = { site: 'Leipzig', gateway: 'hall 1' };
    const sender = new SpoolSender(name, lane, link, silentLogger);
    const stop = new AbortController();
    const running = sender.run(stop.signal);
    await vi.advanceTimersByTimeAsync(59_000);
    expect(published).toBe(0);
    await vi.advanceTimersByTimeAsync(130_000);
    expect(published).toBe(3);
    const floor = { epoch: EPOCH, floor: 1, highest: 1 };
    sender.hearFloor({
      schema: FLOOR_VERSION,
      ...name,
      checkpoints: '0123456789abcdef',
      ordinal: 2,
      stream: { created: 'now', position: 3 },
      lanes: { anomaly: floor, telemetry: floor },
    });
    await vi.advanceTimersByTimeAsync(600_000);
    expect(published).toBe(3);
    stop.abort();
    await running;
  });
});
