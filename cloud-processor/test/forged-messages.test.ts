import {
  type Batch,
  days,
  encodeBatch,
  epochMs,
  type FloorRecord,
  ingestSubject,
  partitionOf,
} from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { Partition, type StreamMessage } from '../src/partition.ts';
import {
  BASE,
  batchOf,
  deaf,
  GATEWAY,
  MINUTE,
  partitionBasics,
  rollups,
  start,
  report,
  tick,
} from './support/floor.ts';

const NOW = epochMs(BASE);
const YEAR = days(366);

/** A partition that the gateway has sent two records to, and what it refuses from then on. */
function bench() {
  const refused: string[] = [];
  const partition = new Partition({
    ...partitionBasics,
    number: partitionOf(GATEWAY),
    observer: deaf,
    deadLetters: { addBatch: ({ reason }) => refused.push(reason) },
    from: undefined,
  });
  let sequence = 0;
  const apply = (batch: Batch, more: Partial<StreamMessage> = {}): void => {
    sequence += 1;
    const message = { subject: ingestSubject(batch), data: encodeBatch(batch), sequence, storedAt: NOW, ...more };
    partition.apply(message, NOW);
  };
  apply(batchOf([start(), tick(2, BASE)]));
  const state = () => JSON.stringify({ ...partition.capture(), cursor: null, ordinal: 0, alarms: [] });
  const alarms = () => partition.alarms.all().map(({ cause, count }) => [cause, count]);
  return { partition, apply, refused, state, alarms };
}

const reading = rollups(3, [{ sensor: 0, at: BASE, value: 1 }]);
const withColumn = (name: string, value: number): FloorRecord => ({
  ...reading,
  columns: { ...reading.columns, [name]: [value] },
});
const clockAt = (ms: number, clock: 'synchronised' | 'unsynchronised' = 'synchronised'): FloorRecord =>
  ({
    ...tick(3, BASE),
    at: epochMs(BASE + ms),
    clock,
  }) as FloorRecord;

describe('a message that no gateway can have sent', () => {
  it.each<[string, string, FloorRecord]>([
    ['n = 9·10^15', 'invalid', withColumn('n', 9e15)],
    ['a negative count', 'invalid', withColumn('n', -1)],
    ['half a reading', 'invalid', withColumn('n', 0.5)],
    ['a negative sum of squares', 'invalid', withColumn('m2', -1)],
    ['more spread than its ends allow', 'invalid', withColumn('m2', 1)],
    ['a bucket in the year 275760', 'invalid', withColumn('bucket', 8.6e11)],
    ['a watermark in the year 275760', 'invalid', tick(3, 8.64e15)],
    ['a number from the future', 'number', tick(9e15, BASE)],
  ])('%s is refused with reason "%s", raises the alarm and changes nothing else', (_what, reason, record) => {
    const { apply, refused, state, alarms } = bench();
    const before = state();
    apply(batchOf([record]));
    expect(refused).toEqual([reason]);
    expect(state()).toBe(before);
    expect(alarms()).toEqual([['impossible', 1]]);
  });

  it('is one under a subject of another gateway', () => {
    const { apply, refused, alarms } = bench();
    apply(batchOf([tick(3, BASE)], { gateway: 'gw-2' }), { subject: ingestSubject({ ...GATEWAY, lane: 'telemetry' }) });
    expect(refused).toEqual(['address']);
    expect(alarms()).toEqual([['impossible', 1]]);
  });

  it.each<[string, FloorRecord]>([
    ['a clock as far ahead as one may be', clockAt(YEAR)],
    ['a clock that is known to be wrong, in the year 2105', clockAt(80 * YEAR, 'unsynchronised')],
    ['a watermark from before the clock was set', tick(3, BASE)],
    ['a clock of the year 1970', { ...tick(3, 0), at: epochMs(0) } as FloorRecord],
  ])('is not one with %s', (_what, record) => {
    const { apply, refused, alarms } = bench();
    apply(batchOf([record]));
    expect(refused).toEqual([]);
    expect(alarms()).toEqual([]);
  });

  it('raises no alarm where it was damaged on the way, or speaks of a gateway that nobody knows', () => {
    const { apply, refused, alarms } = bench();
    apply(batchOf([tick(3, BASE)]), { data: new TextEncoder().encode('{"schema":') });
    const unknown = Array.from({ length: 100 }, (_, i) => `made-up-${i}`).filter(
      (gateway) => partitionOf({ ...GATEWAY, gateway }) === partitionOf(GATEWAY),
    );
    for (const gateway of unknown) apply(batchOf([withColumn('n', -1)], { gateway }));
    expect(unknown.length).toBeGreaterThan(0);
    expect(refused).toEqual(['not-json', ...unknown.map(() => 'invalid')]);
    expect(alarms()).toEqual([]);
  });
});

describe('a synchronised clock years ahead of the server', () => {
  it.each<[string, FloorRecord]>([
    ['tick', clockAt(YEAR + 1)],
    ['status', { ...report(3), at: epochMs(BASE + YEAR + 1) }],
  ])('in a %s raises an alarm, and blocks nothing: the gateway has no other record of that number', (_what, record) => {
    const { partition, apply, refused, alarms } = bench();
    apply(batchOf([record]));
    apply(batchOf([rollups(4, [{ sensor: 0, at: BASE, value: 1 }]), tick(5, BASE)]));
    expect(refused).toEqual([]);
    expect(alarms()).toEqual([['clock-ahead', 1]]);
    expect(partition.counts).toMatchObject({ records: 5, readings: 1 });
    expect(partition.sequence.sourcesWaiting).toBe(0);
  });

  it('that also moved the watermark costs no reading: what comes late is merged', () => {
    const { partition, apply, alarms } = bench();
    apply(batchOf([{ ...clockAt(2 * YEAR), watermark: epochMs(BASE + 2 * YEAR) } as FloorRecord]));
    apply(batchOf([rollups(4, [{ sensor: 0, at: BASE, value: 1 }])]));
    expect(partition.windows.lateWindows.rollups).toBeGreaterThan(0);
    expect(alarms()).toEqual([['clock-ahead', 1]]);
  });
});

describe('a gap that the gateway refutes', () => {
  it('is no loss any more, and its readings are counted once', () => {
    const { partition, apply, refused, alarms } = bench();
    apply(batchOf([{ kind: 'gap', number: 3, to: 10_408, reason: 'cap', frames: [] }]));
    expect(partition.capture().ledger[0]?.lost).toMatchObject([{ from: 3, to: 10_408, unknown: true }]);
    for (const [i, m] of [0, 1, 2].entries()) {
      apply(batchOf([rollups(3 + i, [{ sensor: 0, at: BASE + m * MINUTE, value: m }])]));
    }
    expect(partition.capture().ledger[0]?.lost).toEqual([]);
    expect(partition.counts).toMatchObject({ readings: 3, duplicates: 0 });
    expect(alarms()).toEqual([['gap-refuted', 1]]);
    expect(refused).toEqual([]);
  });
});
