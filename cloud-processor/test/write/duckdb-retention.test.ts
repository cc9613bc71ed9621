import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { epochMs, type Row } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { DuckdbStore } from '../../src/write/duckdb-store.ts';
import { passEnd } from '../../src/write/retention-plan.ts';
import { RetentionClock } from '../../src/write/retention-clock.ts';
import { type DuckdbStoreConfig, storeConfigSchema } from '../../src/write/store-config.ts';
import { anomalyRow, BASE, DAY, gatewayRow, HOUR, liveRow, windowRow } from './sample-rows.ts';

const logger = createLogger('test', 'silent');
const never = new AbortController().signal;
const RETENTION_DAYS = 365;

it('a pass ends where a person has agreed to, at the first of both clocks, and a day behind the oldest row', () => {
  const end = (tooOldBefore: number, agreedBefore: number): number =>
    passEnd({ tooOldBefore, oldest: 0, agreedBefore });
  expect([end(100 * DAY, DAY / 2), end(100 * DAY, 50 * DAY), end(HOUR, -Infinity)]).toEqual([DAY / 2, DAY, HOUR]);
  expect([end(100 * DAY, 0), end(0, -Infinity), end(-Infinity, Infinity)]).toEqual([-Infinity, -Infinity, -Infinity]);
});

describe('rows past their retention', () => {
  let folder: string;
  let store: DuckdbStore;
  let clock: RetentionClock;
  /** The processor's clock, and the one that never steps. */
  let now: number;
  let ticks: number;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'floorwatch-retention-'));
    [now, ticks] = [BASE, 0];
    await open();
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });

  /** A start of the processor: of what NATS says it knows nothing yet. */
  async function open(): Promise<void> {
    const config = storeConfigSchema.parse({
      kind: 'duckdb',
      file: join(folder, 'store.duckdb'),
      retentionDays: RETENTION_DAYS,
    }) as DuckdbStoreConfig;
    clock = new RetentionClock(() => now);
    store = new DuckdbStore(config, logger, clock, () => ticks);
    await store.connect(never);
  }

  async function restart(): Promise<void> {
    await store.close();
    await open();
  }

  /** So many hours go by, with a write in each. */
  async function hoursPass(hours: number): Promise<void> {
    for (let hour = 0; hour < hours; hour++) {
      ticks += HOUR;
      await write();
    }
  }

  /** Writes, and waits for what is deleted then. */
  async function write(...rows: readonly Row[]): Promise<void> {
    expect(await store.write(rows, never)).toEqual({ kind: 'written' });
    await store.settled();
  }

  /** One window on each of the days from `first` to `last`, counted from BASE. */
  const days = (first: number, last: number): Row[] =>
    Array.from({ length: last - first + 1 }, (_, i) => windowRow({ start: epochMs(BASE + (first + i) * DAY) }));

  /** The days of which a window is stored. */
  async function stored(): Promise<number[]> {
    const { items } = await store.windowsByTime({ from: epochMs(0), to: epochMs(4e12), limit: 5_000 });
    return items.map(({ start }) => Math.round((start - BASE) / DAY));
  }

  const atOnce = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

  it('are gone, of every table, and nothing else', async () => {
    const old = BASE - RETENTION_DAYS * DAY - HOUR;
    clock.saw(BASE - HOUR);
    now = BASE - HOUR;
    await write(
      windowRow({ start: epochMs(old + HOUR / 2) }),
      anomalyRow({ openedAt: epochMs(old + HOUR / 2) }),
      gatewayRow({ gateway: 'old', at: epochMs(old + HOUR / 2) }),
      windowRow(),
      anomalyRow({ id: 'f'.repeat(32) }),
      gatewayRow(),
      liveRow(BASE - 6 * HOUR),
      liveRow(BASE),
    );
    [now] = [BASE + HOUR];
    clock.saw(now);
    await hoursPass(1);
    expect(await stored()).toEqual([0]);
    expect((await store.anomalies({ from: epochMs(0), to: epochMs(4e12), limit: 10 })).items).toHaveLength(1);
    expect(await store.gateways(0)).toHaveLength(1);
    expect(store.retention.status().deleted).toBe(4);
  });

  it.each([
    ['the processor', 400, 0],
    ['the NATS server', 0, 400],
  ])(
    'stay while only the clock of %s is 400 days ahead, and rows of today are written',
    async (_whose, own, server) => {
      clock.saw(BASE);
      await write(...days(-300, 0));
      now = BASE + own * DAY;
      await restart();
      clock.saw(BASE + server * DAY);
      await hoursPass(48);
      await write(...days(1, 1), gatewayRow());
      expect(await stored()).toEqual(atOnce(-300, 1));
      expect(store.concerns()).toEqual({});
    },
  );

  it('stay while both clocks are 400 days ahead, as on one machine, until they are right again, and /healthz says so', async () => {
    clock.saw(BASE);
    await write(...days(-300, 0));
    now = BASE + 400 * DAY;
    await restart();
    clock.saw(now);
    await write(...days(1, 1), gatewayRow());
    await hoursPass(48);
    expect(await stored()).toEqual(atOnce(-300, 1));
    expect(store.concerns()['retention']).toMatch(
      /^rows of 335 days, .* so nothing is\. What to do: look whether the clocks/,
    );
    expect(store.mayLackBefore).toBe(-Infinity);
    now = BASE;
    await restart();
    clock.saw(now);
    await hoursPass(2);
    expect([await stored(), store.concerns()]).toEqual([atOnce(-300, 1), {}]);
  });

  it('of readings are the first ones in an empty store, whatever both clocks say; a report that a gateway without a clock makes is not', async () => {
    now = BASE + 400 * DAY;
    clock.saw(now);
    expect(await store.write([gatewayRow({ at: epochMs(1_000) })], never)).toMatchObject({
      refused: [{ code: 'expired' }],
    });
    await write(...days(0, 1));
    expect(await stored()).toEqual([0, 1]);
  });

  it('are told from new ones by what a full store holds, also by the first write after a start', async () => {
    clock.saw(BASE);
    await write(...days(-300, 0));
    await restart();
    clock.saw(BASE);
    expect(await store.write(days(-900, -900), never)).toMatchObject({ refused: [{ code: 'expired' }] });
    now = BASE + 400 * DAY;
    await restart();
    clock.saw(now);
    await write(...days(10, 10), gatewayRow());
    expect(await stored()).toEqual([...atOnce(-300, 0), 10]);
  });

  it('stay before the first message of NATS was seen', async () => {
    clock.saw(BASE);
    await write(...days(-300, 0));
    now = BASE + 75 * DAY;
    await restart();
    await hoursPass(24);
    expect(await stored()).toEqual(atOnce(-300, 0));
  });

  it('of a pause of a week are made up for, at most a day of them every hour', async () => {
    clock.saw(BASE);
    await write(...days(-364, 0));
    now = BASE + 7 * DAY + HOUR;
    await restart();
    clock.saw(now);
    await write();
    const left: number[] = [];
    for (let hour = 0; hour < 9; hour++) {
      left.push((await stored()).length);
      await hoursPass(1);
    }
    expect(left).toEqual([365, 364, 363, 362, 361, 360, 359, 358, 358]);
    expect(await stored()).toEqual(atOnce(-357, 0));
    expect(store.concerns()).toEqual({});
  });

  it('stay while a processor starts again and again', async () => {
    clock.saw(BASE);
    await write(...days(-364, 0));
    now = BASE + 20 * DAY;
    for (let start = 0; start < 30; start++) {
      await restart();
      clock.saw(now);
      ticks += HOUR / 2;
      await write();
    }
    expect(await stored()).toEqual(atOnce(-364, 0));
  });

  it('are deleted without being asked when 30 days are due, and not when it is more', async () => {
    clock.saw(BASE);
    await write(...days(-365, 0));
    now = BASE + 30 * DAY;
    clock.saw(now);
    await hoursPass(1);
    expect(await stored()).toEqual(atOnce(-364, 0));
    now = BASE + 31 * DAY + 1;
    clock.saw(now);
    await hoursPass(1);
    expect(await stored()).toEqual(atOnce(-364, 0));
    expect(store.concerns()).toHaveProperty('retention');
  });

  it('of months are deleted when a person has agreed, up to the instant agreed to, a day every hour, also after a restart', async () => {
    clock.saw(BASE);
    await write(...days(-300, 0));
    now = BASE + 105 * DAY;
    clock.saw(now);
    await hoursPass(2);
    expect(await stored()).toEqual(atOnce(-300, 0));
    await store.retention.agree(epochMs(BASE - 297 * DAY));
    await hoursPass(1);
    expect(await stored()).toEqual(atOnce(-299, 0));
    await restart();
    clock.saw(now);
    await write();
    await hoursPass(5);
    expect(await stored()).toEqual(atOnce(-297, 0));
    expect(store.retention.status()).toMatchObject({
      waits: true,
      agreedBefore: BASE - 297 * DAY,
      oldest: BASE - 297 * DAY,
    });
  });
});
