import { decodeFloorMessage, seconds } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { FloorCut } from '../../src/floors/floor-messages.ts';
import { FloorPublisher } from '../../src/floors/floor-publisher.ts';
import { SafeFloors } from '../../src/floors/safe-floors.ts';

const EPOCH = '1-0000000a';

/** A checkpoint in which these gateways have come so far. */
const cut = (ordinal: number, floors: Readonly<Record<string, number>>): FloorCut => ({
  series: '0123456789abcdef',
  ordinal,
  cursor: { created: null, position: ordinal, digest: null },
  sources: Object.entries(floors).map(([gateway, floor]) => ({
    site: 'plant-1',
    gateway,
    lane: 'telemetry',
    current: EPOCH,
    run: 1,
    takenFrom: EPOCH,
    runs: [],
    waiting: false,
    epochs: [[EPOCH, floor, floor, false, 0, 0, 5]],
  })),
});

describe('floors are told', () => {
  const floors = new SafeFloors();
  let told: string[] = [];
  let isConnected = true;
  const stop = new AbortController();
  let running: Promise<void>;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const publish = (_subject: string, data: Uint8Array): void => {
      const decoded = decodeFloorMessage(data);
      if (decoded.ok) told.push(`${decoded.message.gateway} ${decoded.message.lanes.telemetry.floor}`);
    };
    running = new FloorPublisher({
      interval: seconds(5),
      partitions: [floors],
      connection: () => (isConnected ? publish : undefined),
      logger: createLogger('test', 'silent'),
    }).run(stop.signal);
  });
  afterEach(async () => {
    stop.abort();
    vi.useRealTimers();
    await running;
  });

  /** What was told since the last call, after `ms`. */
  const heard = async (ms: number): Promise<string[]> => {
    await vi.advanceTimersByTimeAsync(ms);
    const messages = told;
    told = [];
    return messages;
  };

  it('at once where a checkpoint has moved them, and to everybody from time to time', async () => {
    floors.saved(cut(1, { 'gw-1': 10, 'gw-2': 20 }));
    expect(await heard(4_000)).toEqual([]);
    // The older of two kept checkpoints counts.
    floors.saved(cut(2, { 'gw-1': 11, 'gw-2': 20 }));
    expect(await heard(0)).toEqual(['gw-1 10', 'gw-2 20']);
    floors.saved(cut(3, { 'gw-1': 11, 'gw-2': 20 }));
    expect(await heard(0)).toEqual(['gw-1 11']);
    floors.saved(cut(4, { 'gw-1': 11, 'gw-2': 20 }));
    expect(await heard(900)).toEqual([]);
    expect(await heard(200)).toEqual(['gw-1 11', 'gw-2 20']);
    expect(await heard(5_000)).toEqual(['gw-1 11', 'gw-2 20']);

    // What could not leave is told with the next checkpoint, or in its time.
    isConnected = false;
    floors.saved(cut(5, { 'gw-1': 12, 'gw-2': 21 }));
    floors.saved(cut(6, { 'gw-1': 12, 'gw-2': 21 }));
    expect(await heard(100)).toEqual([]);
    isConnected = true;
    floors.saved(cut(7, { 'gw-1': 12, 'gw-2': 22 }));
    expect(await heard(0)).toEqual(['gw-1 12', 'gw-2 21']);
  });
});
