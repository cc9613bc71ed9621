import { epochMs, FLOOR_VERSION, type FloorMessage, type LaneFloor } from '@floorwatch/contracts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { DiskLaneSpool } from '../../src/spool/disk-lane-spool.ts';
import { encodeSpooled } from '../../src/spooled-record.ts';
import { SpoolSender } from '../../src/uplink/spool-sender.ts';
import { silentLogger } from '../support/devices.ts';

const resources = resourcesPerTest();
const name = { site: 'Leipzig', gateway: 'hall 1' };
const [EPOCH, NEXT, COPY] = ['1-0123456789abcdef', '2-0123456789abcdef', '1-fedcba9876543210'] as const;
const RECORDS = 2_001;

const item = (number: number): Uint8Array => {
  const at = epochMs(0);
  const clock = 'synchronised' as const;
  const record =
    number === 1
      ? { kind: 'start' as const, number: 1 as const, predecessor: null, at, clock }
      : { kind: 'tick' as const, number, watermark: at, at, clock };
  return encodeSpooled({ record, sensors: [], position: number, at });
};

let ordinal = 0;
const message = (telemetry: LaneFloor, position = 0): FloorMessage => ({
  schema: FLOOR_VERSION,
  ...name,
  checkpoints: '0123456789abcdef',
  ordinal: ++ordinal,
  stream: { created: 'today', position },
  lanes: { anomaly: telemetry, telemetry },
});
const floor = (number: number, epoch: string = EPOCH): LaneFloor => ({ epoch, floor: number, highest: number });

/** A lane of small segments, and a stream that takes so many batches and no more. */
class Bench {
  readonly directory: string;
  lane!: DiskLaneSpool;
  sender!: SpoolSender;
  published = 0;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(directory: string) {
    this.directory = directory;
  }

  async open(epoch: string, records: number): Promise<void> {
    const { directory } = this;
    const sizes = { bytesMax: 4 * 1024 * 1024, segmentBytesMax: 16_384, reserveBytes: 0, commitDelayMs: 0 };
    const opened = await DiskLaneSpool.open({
      ...sizes,
      directory,
      lane: 'telemetry',
      durability: 'process',
      whenFull: 'refuse',
    });
    this.lane = opened.spool;
    await this.lane.append([item(1)], { epoch });
    for (let number = 2; number <= records; number += 10) {
      await this.lane.append(Array.from({ length: 10 }, (_, i) => item(number + i)));
    }
  }

  send(takes: number, trimGraceMs = 0): void {
    const link = {
      isConnected: true,
      batchBytesMax: 2_000,
      whenConnected: async () => undefined,
      publish: async () => {
        if (this.published >= takes) throw new Error('the stream is full');
        return { seq: ++this.published };
      },
    };
    this.sender = new SpoolSender({ ...name, trimGraceMs }, this.lane, link, silentLogger);
    this.#stop = new AbortController();
    this.#running = this.sender.run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.lane.close();
  }
}

let bench: Bench;
beforeEach(async () => {
  bench = new Bench(await resources.directory());
});
afterEach(() => vi.useRealTimers());

const realTimeout = globalThis.setTimeout;

/** Time passes; files are read and written meanwhile. */
async function pass(ms: number): Promise<void> {
  for (let done = 0; done < ms; done += 500) {
    await vi.advanceTimersByTimeAsync(500);
    await new Promise((resolve) => realTimeout(resolve, 2));
  }
}

/** Time passes until something holds. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 5_000 && !holds(); i++) await pass(500);
  expect(holds()).toBe(true);
}

const isSent = (): boolean => bench.sender.state().recordsUnsent === 0;
const alarms = () => bench.sender.state().alarms.map(({ kind }) => kind);

describe('a floor beyond what was sent', () => {
  it.each<[string, LaneFloor]>([
    ['up to the newest record', floor(RECORDS)],
    ['beyond that', floor(1_000_000)],
    ['beside one of a copy', { ...floor(5, COPY), others: [{ epoch: EPOCH, floor: RECORDS }] }],
  ])('%s deletes nothing, is counted, and raises an alarm that stays on', async (_what, forged) => {
    await bench.open(EPOCH, RECORDS);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    bench.send(5);
    await until(() => bench.sender.state().failures > 0);
    bench.sender.hearFloor(message(forged));
    await until(() => bench.sender.state().floorsRefused > 0);
    await pass(15_000);
    expect(bench.lane.first).toBe(1);
    expect(bench.sender.state().floorsRefused).toBe(1);
    bench.sender.hearFloor(message(floor(1)));
    await pass(20_000);
    expect([alarms(), bench.sender.state().floorsRefused]).toEqual([['identity'], 1]);
    await bench.stop();
  });

  it('is not one that was sent: what it passed is deleted', async () => {
    await bench.open(EPOCH, RECORDS);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    bench.send(Infinity);
    await until(isSent);
    bench.sender.hearFloor(message(floor(RECORDS)));
    await until(() => bench.lane.first > RECORDS / 2);
    expect([alarms(), bench.sender.state().floorsRefused]).toEqual([[], 0]);
    await bench.stop();
  });

  it('takes back what was said just before it, which may have been forged too', async () => {
    await bench.open(EPOCH, RECORDS);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    bench.send(Infinity, 60_000);
    await until(isSent);
    for (let i = 0; i < 20; i++) {
      bench.sender.hearFloor(message(i % 4 === 3 ? floor(1_000_000) : floor(RECORDS)));
      await pass(10_000);
    }
    expect(bench.lane.first).toBe(1);
    await bench.stop();
  });

  it('is contradicted by an older message that says less: nothing is deleted while both are heard', async () => {
    await bench.open(EPOCH, RECORDS);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    bench.send(Infinity, 60_000);
    await until(isSent);
    for (let i = 0; i < 20; i++) {
      bench.sender.hearFloor(message(floor(RECORDS)));
      await pass(5_000);
      bench.sender.hearFloor(message(floor(10)), true);
      await pass(5_000);
    }
    expect(bench.lane.first).toBe(1);
    await bench.stop();
  });

  it('is not one that was sent before a kill, although the kill left only the marks', async () => {
    await bench.open(EPOCH, RECORDS);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    bench.send(Infinity);
    await until(isSent);
    await bench.stop();
    vi.useRealTimers();
    await bench.open(NEXT, RECORDS);
    await bench.lane.saveSentThrough(1);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    bench.send(0);
    await pass(500);
    bench.sender.hearFloor(message(floor(RECORDS)));
    await until(() => bench.sender.state().uncommittedBytes === 0);
    expect([alarms(), bench.sender.state().floorsRefused]).toEqual([[], 0]);
    bench.sender.hearFloor(message(floor(RECORDS, NEXT)));
    await until(() => bench.sender.state().floorsRefused === 1);
    expect(alarms()).toEqual(['identity']);
    await bench.stop();
  });
});
