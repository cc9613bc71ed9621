import { type Batch, epochMs, type FloorRecord, type WindowRow } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { CheckpointState } from '../../src/checkpoint/format.ts';
import { Partition } from '../../src/partition.ts';
import { StoreError } from '../../src/write/store.ts';
import { LateCorrector, type LateTarget } from '../../src/write/late-corrector.ts';
import { rowKey } from '../../src/write/row-key.ts';
import {
  BASE,
  batchOf,
  deaf,
  messageOf,
  MINUTE,
  rollups,
  SENSORS,
  type TestReading,
  tick,
  windowConfig,
} from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';

const signal = new AbortController().signal;
const logger = createLogger('test', 'silent');
const FAR = BASE + 100 * 86_400_000;

const partitionFrom = (from?: CheckpointState): Partition =>
  new Partition({
    number: 0,
    windows: windowConfig(),
    observer: deaf,
    deadLetters: { addBatch: () => undefined },
    from,
  });

/** A processor of one partition, step by step: what happens when is up to the test. */
class Steps {
  partition = partitionFrom();
  readonly store = new MemoryStore();
  readonly #batches: readonly Batch[];
  #saved: CheckpointState | undefined;

  constructor(batches: readonly Batch[]) {
    this.#batches = batches;
  }

  async open(): Promise<this> {
    await this.store.connect(signal);
    return this;
  }

  get done(): boolean {
    return this.partition.cursor.position >= this.#batches.length;
  }

  apply(): void {
    const { position } = this.partition.cursor;
    const batch = this.#batches[position];
    if (batch !== undefined) this.partition.apply(messageOf(batch, position + 1), epochMs(0));
  }

  save(): void {
    const state = this.partition.capture();
    this.#saved = state;
    this.partition.outbox.saved(state.ordinal);
  }

  /** Sends what may be sent; `confirmed` false: the processor does not hear of it, because it dies. */
  async write(max: number, confirmed: boolean): Promise<void> {
    const rows = this.partition.outbox.take(max);
    if (rows.length > 0) await this.store.write(rows, signal);
    if (confirmed) this.partition.settle();
    else this.crash();
  }

  crash(): void {
    this.partition = partitionFrom(this.#saved);
  }

  async correct(): Promise<void> {
    await new LateCorrector(targetOf(this.partition), this.store, logger).round(signal);
  }

  /** Goes on without further trouble until nothing is left to do. */
  async finish(): Promise<Record<string, string>> {
    while (!this.done) this.apply();
    for (let round = 0; round < 3; round++) {
      await this.correct();
      this.save();
      for (let size = -1; this.partition.outbox.size !== size;) {
        size = this.partition.outbox.size;
        await this.write(1_000, true);
      }
    }
    expect([this.partition.outbox.size, this.partition.windows.lateWindows.rollups]).toEqual([0, 0]);
    return this.store.contents('window');
  }
}

const targetOf = (partition: Partition): LateTarget => ({
  number: 0,
  lateGroups: () => partition.windows.lateWindows.groups(),
  unsent: (window) => partition.outbox.get(rowKey({ table: 'window', ...window })),
  hasRoom: () => true,
  correct: (group, bases) => partition.correct(group, bases),
});

/** Readings of one record, within ten minutes. */
const record = fc.array(
  fc.record({
    sensor: fc.nat(1),
    at: fc.integer({ min: 0, max: 10 * MINUTE }),
    value: fc.integer({ min: -9, max: 9 }),
  }),
  { minLength: 1, maxLength: 4 },
);
/** A record, and how far the watermark is behind it. */
const records = fc.array(fc.record({ readings: record, watermark: fc.integer({ min: 0, max: 12 * MINUTE }) }), {
  minLength: 1,
  maxLength: 12,
  size: 'max',
});
const step = fc.oneof(
  { weight: 6, arbitrary: fc.constant('apply' as const) },
  { weight: 2, arbitrary: fc.constant('save' as const) },
  { weight: 3, arbitrary: fc.constant('write' as const) },
  { weight: 1, arbitrary: fc.constant('write and die' as const) },
  { weight: 3, arbitrary: fc.constant('correct' as const) },
  { weight: 1, arbitrary: fc.constant('crash' as const) },
);

function batchesOf(
  list: readonly { readonly readings: readonly TestReading[]; readonly watermark: number }[],
): Batch[] {
  let number = 0;
  let watermark = 0;
  const batches = list.map(({ readings, watermark: next }): Batch => {
    watermark = Math.max(watermark, next);
    const records: FloorRecord[] = [
      rollups(
        ++number,
        readings.map((reading) => ({ ...reading, at: BASE + reading.at })),
      ),
      tick(++number, BASE + watermark),
    ];
    return batchOf(records);
  });
  return [...batches, batchOf([tick(++number, FAR)])];
}

/** Readings and their sum per window, by the definition. */
function oracle(list: readonly { readonly readings: readonly TestReading[] }[]): Map<string, [n: number, sum: number]> {
  const windows = new Map<string, [number, number]>();
  for (const { readings } of list) {
    for (const { sensor, at, value } of readings) {
      for (const size of windowConfig().sizes) {
        const start = Math.floor((BASE + at) / size) * size;
        const key = rowKey({
          table: 'window',
          sensor: { site: 'plant-1', gateway: 'gw-1', ...SENSORS[sensor]! },
          size,
          start: epochMs(start),
        });
        const [n, sum] = windows.get(key) ?? [0, 0];
        windows.set(key, [n + 1, sum + value]);
      }
    }
  }
  return windows;
}

const summaries = (contents: Record<string, string>): Map<string, [number, number]> =>
  new Map(
    Object.entries(contents).map(([key, text]) => {
      const { aggregate } = JSON.parse(text) as WindowRow;
      return [key, [aggregate.n, Math.round(aggregate.n * (aggregate.reference + aggregate.mean)) + 0]];
    }),
  );

/** Windows whose value in the store was once replaced by an older one. */
function goneBackwards({ log }: MemoryStore): string[] {
  const revisions = new Map<string, number>();
  return log.flatMap(({ key, row }) => {
    if (row.table !== 'window') return [];
    const before = revisions.get(key) ?? 0;
    revisions.set(key, row.revision);
    return row.revision < before ? [`${key}: ${before} → ${row.revision}`] : [];
  });
}

describe('late readings', () => {
  it('correct their windows exactly once, whatever is saved, sent or lost in between', async () => {
    await fc.assert(
      fc.asyncProperty(records, fc.array(step, { maxLength: 60, size: 'max' }), async (list, steps) => {
        const batches = batchesOf(list);
        const disturbed = await new Steps(batches).open();
        for (const what of steps) {
          if (what === 'apply') disturbed.apply();
          else if (what === 'save') disturbed.save();
          else if (what === 'write') await disturbed.write(2, true);
          else if (what === 'write and die') await disturbed.write(2, false);
          else if (what === 'correct') await disturbed.correct();
          else disturbed.crash();
        }
        const undisturbed = await new Steps(batches).open();
        const contents = await disturbed.finish();
        expect(contents).toEqual(await undisturbed.finish());
        expect(goneBackwards(disturbed.store)).toEqual([]);
        expect(new Map([...summaries(contents)].sort())).toEqual(new Map([...oracle(list)].sort()));
      }),
      { numRuns: 300 },
    );
  });

  it('wait while the store can not be read, also over a restart', async () => {
    const steps = await new Steps(
      batchesOf([
        { readings: [{ sensor: 0, at: 0, value: 1 }], watermark: 5 * MINUTE },
        { readings: [{ sensor: 0, at: 1, value: 2 }], watermark: 5 * MINUTE },
      ]),
    ).open();
    steps.apply();
    steps.save();
    await steps.write(10, true);
    steps.apply();
    steps.store.readFailure = new StoreError('unreachable', 'not today');
    await expect(steps.correct()).rejects.toThrow('not today');
    steps.save();
    steps.crash();
    steps.store.readFailure = undefined;
    expect(steps.partition.windows.lateWindows.rollups).toBe(1);
    const rows = Object.values(await steps.finish()).map((text) => JSON.parse(text) as WindowRow);
    const row = rows.find(({ size }) => size === MINUTE);
    expect(row).toMatchObject({ aggregate: { n: 2 }, revision: 1, through: { epoch: 1, number: 3 } });
  });

  it('of a device that was away for a week read and write each window once', async () => {
    const weekMinutes = 7 * 24 * 60;
    const late: TestReading[] = Array.from({ length: weekMinutes * 6 }, (_, i) => ({
      sensor: 0,
      at: BASE + i * 10_000,
      value: 1,
    }));
    const number = (i: number): number => i + 2;
    const batches = [batchOf([tick(1, FAR)])];
    for (let i = 0; i * 1_000 < late.length; i++) {
      batches.push(batchOf([rollups(number(i), late.slice(i * 1_000, (i + 1) * 1_000))]));
    }
    const steps = await new Steps(batches).open();
    let questions = 0;
    const { store } = steps;
    const ask = store.windows.bind(store);
    store.windows = async (query) => {
      questions += 1;
      return ask(query);
    };
    const contents = await steps.finish();
    const sum = new Map<number, number>();
    for (const { size, aggregate } of Object.values(contents).map((text) => JSON.parse(text) as WindowRow)) {
      sum.set(size, (sum.get(size) ?? 0) + aggregate.n);
    }
    expect([...sum.values()]).toEqual([late.length, late.length, late.length]);
    expect(store.log.filter(({ row }) => row.table === 'window')).toHaveLength(
      weekMinutes + weekMinutes / 15 + weekMinutes / 60,
    );
    expect(questions).toBe(Math.ceil(weekMinutes / 1_000) + 1 + 1);
  });
});
