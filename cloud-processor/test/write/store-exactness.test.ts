import { type Batch, epochMs, type FloorRecord, type GapRecord, type Row, type WindowRow } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { CheckpointState } from '../../src/checkpoint/format.ts';
import { Partition } from '../../src/partition.ts';
import { findGateways, surveyGateway } from '../../src/recovery/store-survey.ts';
import { StoreComparer } from '../../src/write/store-comparer.ts';
import { StoreError } from '../../src/write/store.ts';
import { LateCorrector } from '../../src/write/late-corrector.ts';
import { rowKey } from '../../src/write/row-key.ts';
import {
  anomaly,
  BASE,
  batchOf,
  BUCKET,
  deaf,
  messageOf,
  MINUTE,
  partitionBasics,
  rollups,
  SENSORS,
  report,
  type TestReading,
  tick,
  windowConfig,
  withoutRuns,
} from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';

const signal = new AbortController().signal;
const logger = createLogger('test', 'silent');
const DAY_MS = 86_400_000;
const FAR = BASE + 100 * DAY_MS;

/** How long a request whose outcome is unknown may still be carried out. */
const LINGER_MS = 60_000;

/** A request that was sent, and that the store may still carry out. */
interface Landing {
  readonly rows: readonly Row[];
  readonly until: number;
}

/** A processor of one partition, its stream and its store, step by step: what happens when is up to the test. */
class Steps {
  partition: Partition;
  readonly store = new MemoryStore();
  readonly #batches: readonly Batch[];
  /** The newest checkpoint and the one before it. */
  #saved: readonly CheckpointState[] = [];
  #damaged = false;
  #landing: Landing[] = [];
  #now = 0;
  #isLost = false;
  #runsTo = 0;
  /** Until then the partition has not begun, because its newest checkpoint is damaged. */
  #beginsAt: number | undefined;

  constructor(batches: readonly Batch[]) {
    this.#batches = batches;
    this.partition = this.#start(undefined, false);
  }

  async open(): Promise<this> {
    await this.store.connect(signal);
    return this;
  }

  #start(from: CheckpointState | undefined, isPrevious: boolean): Partition {
    const landed = from === undefined && !isPrevious ? 0 : this.#now + LINGER_MS;
    this.#beginsAt = isPrevious ? landed : undefined;
    return new Partition({
      ...partitionBasics,
      number: 0,
      observer: deaf,
      deadLetters: { addBatch: () => undefined },
      from,
      outbox: { updatesFrom: landed },
    });
  }

  /** Whether it may read, write and save: at once, or when nothing can land any more and the store was looked at. */
  async begins(): Promise<boolean> {
    if (this.#beginsAt === undefined) return true;
    if (this.#now < this.#beginsAt) return false;
    this.#beginsAt = undefined;
    const found = await findGateways(this.store);
    const gateways = await Promise.all(found.map(async (one) => surveyGateway(this.store, one, 8 * DAY_MS, signal)));
    this.partition.recover({ gateways, runsTo: this.#runsTo }, undefined);
    return true;
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
    // The damaged one takes the place of the one before it.
    this.#isLost = false;
    this.#saved = this.#damaged ? [state] : [state, ...this.#saved].slice(0, 2);
    this.#damaged = false;
    this.partition.outbox.saved(state.ordinal);
  }

  async write(max: number, answer: 'comes' | 'is lost' | 'finds nobody'): Promise<void> {
    const { outbox } = this.partition;
    const rows = outbox.take(max, this.#now);
    if (answer !== 'comes') this.#landing.push({ rows, until: this.#now + LINGER_MS });
    if (answer === 'finds nobody') {
      this.crash();
      return;
    }
    if (answer === 'is lost') outbox.mayLandUntil(this.#now + LINGER_MS, this.#now);
    if (rows.length > 0) await this.store.write(rows, signal);
    this.partition.settle();
  }

  /** The store carries out the oldest request that it did not answer. */
  async land(): Promise<void> {
    const landing = this.#landing.shift();
    if (landing !== undefined && landing.rows.length > 0) await this.store.write(landing.rows, signal);
  }

  pass(ms: number): void {
    this.#now += ms;
    this.#landing = this.#landing.filter(({ until }) => until > this.#now);
  }

  crash(): void {
    const [newest, previous] = this.#saved;
    if (this.#isLost) this.partition = this.#start(undefined, true);
    else if (this.#damaged) this.partition = this.#start(previous, true);
    else this.partition = this.#start(newest, false);
  }

  /** The newest checkpoint is damaged, until another one is saved. */
  damage(): void {
    this.#damaged = this.#saved.length === 2;
    this.crash();
  }

  /** Both checkpoints are gone; the claim remembers the highest run. */
  lose(): void {
    this.#runsTo = Math.max(this.#runsTo, this.partition.sequence.highestRun);
    this.#isLost ||= this.#saved.length > 0;
    this.#saved = [];
    this.#damaged = false;
    this.crash();
  }

  async compare(): Promise<void> {
    await new StoreComparer(this.partition.outbox, this.store, logger).round(signal);
  }

  async correct(): Promise<void> {
    const { partition } = this;
    await new LateCorrector({ target: partition, store: this.store, logger, ready: () => true }).round(signal);
  }

  /** Goes on without further trouble until nothing is left to do. */
  async finish(): Promise<Record<string, string>> {
    this.pass(2 * LINGER_MS);
    await this.begins();
    while (!this.done) this.apply();
    for (let round = 0; round < 6; round++) {
      await this.compare();
      await this.correct();
      await this.compare();
      this.save();
      for (let size = -1; this.partition.outbox.size !== size;) {
        size = this.partition.outbox.size;
        await this.write(1_000, 'comes');
      }
    }
    const { outbox, windows } = this.partition;
    const left = outbox.size + windows.lateWindows.rollups + windows.losses().length;
    if (left > 0) throw new Error(`${left} rows, late rollups or losses are left`);
    return this.store.contents('window', 'anomaly');
  }
}

/** Readings of one record: of few windows, so that they meet. */
const record = fc.array(
  fc.record({
    sensor: fc.nat(1),
    at: fc.integer({ min: 0, max: 2 * MINUTE - 1 }),
    value: fc.integer({ min: -9, max: 9 }),
  }),
  { minLength: 1, maxLength: 4 },
);
/** A record, whether it is lost on the way, and how far the watermark is behind it. */
interface Made {
  readonly readings: readonly TestReading[];
  readonly isLost?: boolean;
  readonly watermark: number;
}
const made: fc.Arbitrary<Made> = fc.record({
  readings: record,
  isLost: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  watermark: fc.integer({ min: 0, max: 4 * MINUTE }),
});
const records = fc.array(made, { minLength: 1, maxLength: 12, size: 'max' });
const STEPS = {
  apply: async (steps: Steps) => steps.apply(),
  save: async (steps: Steps) => steps.save(),
  write: async (steps: Steps) => steps.write(2, 'comes'),
  'write, and the answer is lost': async (steps: Steps) => steps.write(2, 'is lost'),
  'write, and die before the answer': async (steps: Steps) => steps.write(2, 'finds nobody'),
  'a lost request lands': async (steps: Steps) => steps.land(),
  '20 s pass': async (steps: Steps) => steps.pass(20_000),
  correct: async (steps: Steps) => steps.correct(),
  compare: async (steps: Steps) => steps.compare(),
  crash: async (steps: Steps) => steps.crash(),
  'crash, and the newest checkpoint is damaged': async (steps: Steps) => steps.damage(),
  'crash, and no checkpoint is left': async (steps: Steps) => steps.lose(),
} as const;
/** What happens whether or not the partition has begun. */
const OUTSIDE: ReadonlySet<string> = new Set([
  'a lost request lands',
  '20 s pass',
  'crash',
  'crash, and the newest checkpoint is damaged',
  'crash, and no checkpoint is left',
] satisfies (keyof typeof STEPS)[]);
const often = ['apply', 'save', 'write', 'correct', 'compare', '20 s pass', 'a lost request lands'] as const;
const step = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...often) },
  { weight: 1, arbitrary: fc.constantFrom(...(Object.keys(STEPS) as (keyof typeof STEPS)[])) },
);

/** What stands in the place of a record that was lost. */
function gapFor(number: number, readings: readonly TestReading[]): GapRecord {
  const times = readings.map(({ at }) => at);
  const from = epochMs(Math.floor(Math.min(...times) / BUCKET) * BUCKET);
  const to = epochMs(Math.floor(Math.max(...times) / BUCKET) * BUCKET + BUCKET - 1);
  const frame = { number, to: number, readings: readings.length, anomalies: 0, eventTimes: { from, to } };
  return { kind: 'gap', number, to: number, reason: 'cap', frames: [frame] };
}

/** Each record in a batch of its own, followed by the watermark and by what an episode has to tell. */
function batchesOf(list: readonly Made[], begins: readonly FloorRecord[] = []): Batch[] {
  let number = begins.length;
  let watermark = 0;
  const batches = list.flatMap(({ readings: relative, isLost, watermark: next }, i): Batch[] => {
    watermark = Math.max(watermark, next);
    const readings = relative.map((reading) => ({ ...reading, at: BASE + reading.at }));
    const sent = isLost === true ? gapFor(++number, readings) : rollups(++number, readings);
    const telemetry: FloorRecord[] = [sent, tick(++number, BASE + watermark)];
    const phase = (['opened', 'updated', 'closed'] as const)[i % 3]!;
    const episode = anomaly(i + 1, Math.floor(i / 3), phase, 1 + (i % 3));
    return [batchOf(telemetry), batchOf([episode], { lane: 'anomaly' })];
  });
  return [...begins.map((begin) => batchOf([begin])), ...batches, batchOf([tick(++number, FAR)])];
}

/** Readings of a window, their sum, and whether some were lost between event times that it touches. */
type Summary = readonly [n: number, sum: number, incomplete: boolean];

/** Every window by the definition. */
function oracle(list: readonly Made[]): Map<string, Summary> {
  const windows = new Map<string, Summary>();
  const losses = list.filter(({ isLost }) => isLost).map(({ readings }) => gapFor(1, readings).frames[0]!.eventTimes!);
  for (const { readings, isLost } of list) {
    for (const { sensor, at, value } of isLost === true ? [] : readings) {
      for (const size of windowConfig().sizes) {
        const start = Math.floor((BASE + at) / size) * size;
        const key = rowKey({
          table: 'window',
          sensor: { site: 'plant-1', gateway: 'gw-1', ...SENSORS[sensor]! },
          size,
          start: epochMs(start),
        });
        const [n, sum] = windows.get(key) ?? [0, 0];
        const isTouched = losses.some(({ from, to }) => BASE + from < start + size && BASE + to >= start);
        windows.set(key, [n + 1, sum + value, isTouched]);
      }
    }
  }
  return windows;
}

const summaries = (contents: Record<string, string>): Map<string, Summary> => {
  const windows = Object.entries(contents).filter(([key]) => key.startsWith('window/'));
  return new Map(
    windows.map(([key, text]) => {
      const { aggregate, incomplete } = JSON.parse(text) as WindowRow;
      return [key, [aggregate.n, Math.round(aggregate.n * (aggregate.reference + aggregate.mean)) + 0, incomplete]];
    }),
  );
};

/** Values in the store that were once replaced by older ones. */
function goneBackwards({ log }: MemoryStore): string[] {
  const ages = new Map<string, number>();
  return log.flatMap(({ key, row }) => {
    if (row.table !== 'window' && row.table !== 'anomaly') return [];
    const before = ages.get(key) ?? 0;
    // Readings grow with every record of an episode, the revision with every correction.
    const age = row.table === 'window' ? row.revision : row.readings;
    ages.set(key, age);
    return age < before ? [`${key}: ${before} → ${age}`] : [];
  });
}

describe('the store', () => {
  it(
    'ends as if nothing had happened, and never goes backwards, whatever is saved, sent or lost in between',
    { tags: ['long'], timeout: 120_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(records, fc.array(step, { maxLength: 80, size: 'max' }), async (list, steps) => {
          const batches = batchesOf(list, [report(1)]);
          const disturbed = await new Steps(batches).open();
          for (const what of steps) if (OUTSIDE.has(what) || (await disturbed.begins())) await STEPS[what](disturbed);
          const undisturbed = await new Steps(batches).open();
          const contents = await disturbed.finish();
          // Where nothing of a run was stored before all checkpoints were lost, the same records are counted in a later one.
          expect(withoutRuns(contents)).toEqual(withoutRuns(await undisturbed.finish()));
          expect(goneBackwards(disturbed.store)).toEqual([]);
          expect(summaries(contents)).toEqual(oracle(list));
        }),
        { numRuns: 1_000 },
      );
    },
  );
});

describe('windows of which readings are lost after they were sealed', () => {
  const LATE = { sensor: 0, at: 0, value: 1 };
  const minuteOf = async (steps: Steps): Promise<WindowRow | undefined> =>
    Object.values(await steps.finish())
      .map((text) => JSON.parse(text) as WindowRow)
      .find(({ size }) => size === MINUTE);

  it('are marked also when late readings begin them while others are corrected', async () => {
    const steps = await new Steps(
      batchesOf([
        { readings: [{ ...LATE, sensor: 1 }], watermark: 5 * MINUTE },
        { readings: [{ ...LATE, sensor: 1 }], watermark: 5 * MINUTE },
        { readings: [LATE], watermark: 5 * MINUTE },
        { readings: [LATE], isLost: true, watermark: 5 * MINUTE },
      ]).filter(({ lane }) => lane === 'telemetry'),
    ).open();
    steps.apply();
    await steps.write(10, 'comes');
    steps.apply();
    const { store } = steps;
    const ask = store.windows.bind(store);
    store.windows = async (query) => {
      steps.apply();
      steps.apply();
      return ask(query);
    };
    await steps.correct();
    expect(steps.partition.windows.losses()).toHaveLength(1);
    store.windows = ask;
    const isFirst = ({ sensor }: WindowRow): boolean => sensor.metric === SENSORS[0].metric;
    const rows = Object.values(await steps.finish()).map((text) => JSON.parse(text) as WindowRow);
    expect(rows.find((row) => row.size === MINUTE && isFirst(row))).toMatchObject({ revision: 2, incomplete: true });
  });

  it('are marked in the value that the store has, where that is newer than what the checkpoint knew', async () => {
    const steps = await new Steps(
      batchesOf([
        { readings: [LATE], watermark: 5 * MINUTE },
        { readings: [LATE], isLost: true, watermark: 5 * MINUTE },
        { readings: [LATE], watermark: 5 * MINUTE },
      ]).filter(({ lane }) => lane === 'telemetry'),
    ).open();
    steps.apply();
    steps.save();
    steps.apply();
    steps.apply();
    await steps.correct();
    steps.save();
    await steps.write(10, 'comes');
    // The store has the late reading and the mark; what comes next is of the checkpoint before.
    steps.damage();
    steps.pass(2 * LINGER_MS);
    await steps.begins();
    steps.apply();
    await steps.correct();
    expect(steps.partition.windows.losses()).toHaveLength(1);
    expect(await minuteOf(steps)).toMatchObject({ aggregate: { n: 2 }, revision: 2, incomplete: true });
  });
});

describe('late readings', () => {
  it('wait while the store can not be read, also over a restart', async () => {
    const steps = await new Steps(
      batchesOf([
        { readings: [{ sensor: 0, at: 0, value: 1 }], watermark: 5 * MINUTE },
        { readings: [{ sensor: 0, at: 1, value: 2 }], watermark: 5 * MINUTE },
      ]),
    ).open();
    steps.apply();
    steps.save();
    await steps.write(10, 'comes');
    steps.apply();
    steps.apply();
    steps.store.readFailure = new StoreError('unreachable', 'not today');
    await expect(steps.correct()).rejects.toThrow('not today');
    steps.save();
    steps.crash();
    steps.store.readFailure = undefined;
    expect(steps.partition.windows.lateWindows.rollups).toBe(1);
    const rows = Object.values(await steps.finish()).map((text) => JSON.parse(text) as WindowRow);
    const row = rows.find(({ size }) => size === MINUTE);
    expect(row).toMatchObject({ aggregate: { n: 2 }, revision: 1, through: { run: 1, number: 3 } });
  });

  it('of a device that was away for a week read and write each window once', { tags: ['long'] }, async () => {
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
