import { describe, expect, it } from 'vitest';

import {
  aggregateOf,
  addReading,
  type Batch,
  decodeBatch,
  encodeBatch,
  epochMs,
  type GapRecord,
  limits,
  meanOf,
  rollupAggregate,
  rollupMoving,
  rollupsRecord,
  rollupStart,
} from '../src/index.ts';

const moving = { countMean: 21.25, countSd: 0.5, timeMean: null, timeSd: null, ewMean: 21.125, ewSd: 0.25 };
const aggregate = aggregateOf(21, 1_700_000_001_000, false, false);
addReading(aggregate, 22, 1_700_000_002_000, true, true);

const rollups = rollupsRecord(4, [
  { sensor: 0, start: 1_700_000_000_000, aggregate, moving },
  { sensor: 1, start: 1_699_999_990_000, aggregate: aggregateOf(5, 1_699_999_999_999, false, false), moving },
]);

const batch: Batch = {
  schema: 1,
  site: 'Leipzig',
  gateway: 'hall 1',
  lane: 'telemetry',
  epoch: '7-0123abcd',
  sensors: [
    { device: 'press', metric: 'temperature', unit: '°C' },
    { device: 'press', metric: 'strokes' },
  ],
  records: [
    rollups,
    {
      kind: 'tick',
      number: 5,
      watermark: epochMs(1_700_000_000_000),
      at: epochMs(1_700_000_012_000),
      clock: 'synchronised',
    },
  ],
};

const gap = (number: number, to: number): GapRecord => ({ kind: 'gap', number, to, reason: 'cap', frames: [] });
const encoded = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const faultOf = (value: unknown): string => {
  const decoded = decodeBatch(encoded(value));
  return decoded.ok ? 'none' : `${decoded.fault.reason}: ${decoded.fault.message}`;
};

describe('batch', () => {
  it('comes back from its bytes as it was', () => {
    expect(decodeBatch(encodeBatch(batch))).toEqual({ ok: true, batch });
  });

  it('gives every rollup back with its bucket, its aggregate and its moving statistics', () => {
    expect(rollupStart(rollups, 0)).toBe(1_700_000_000_000);
    expect(rollupAggregate(rollups, 0)).toEqual(aggregate);
    expect(meanOf(rollupAggregate(rollups, 0))).toBe(21.5);
    expect(rollupMoving(rollups, 0)).toEqual(moving);
    expect(rollupStart(rollups, 1)).toBe(1_699_999_990_000);
    expect(rollupAggregate(rollups, 1).lastAt).toBe(1_699_999_999_999);
  });

  it('takes a gap that stands for many numbers, and wants the number after it next', () => {
    const tick = { ...batch.records[1], number: 9 };
    expect(faultOf({ ...batch, records: [gap(4, 8), tick] })).toBe('none');
    expect(faultOf({ ...batch, records: [gap(4, 7), tick] })).toMatch('records.1.number: is 9, must be 8');
    expect(faultOf({ ...batch, records: [gap(4, 3)] })).toMatch('records.0.to: must not be smaller than number');
  });

  it.each([
    [
      'a missing number between records',
      { ...batch, records: [rollups, { ...batch.records[1], number: 6 }] },
      'is 6, must be 5',
    ],
    [
      'a sensor that the batch does not name',
      { ...batch, sensors: batch.sensors.slice(1) },
      'points past the 1 sensors',
    ],
    ['no records', { ...batch, records: [] }, 'invalid: records'],
    ['a site with a slash', { ...batch, site: 'a/b' }, 'invalid: site'],
    ['a newer schema', { ...batch, schema: 2 }, 'schema: batch has schema version 2'],
    ['something else entirely', 'hello', 'invalid: '],
  ])('refuses %s and says what is wrong', (_what, value, message) => {
    expect(faultOf(value)).toContain(message);
  });

  it.each([
    ['n', 0, 'n is 0'],
    ['n', 1.5, 'n is 1.5'],
    ['m2', -1, 'm2 is -1'],
    ['n', 9e15, 'n is 9000000000000000'],
    ['n', 1e12 + 1, 'n is 1000000000001'],
    ['m2', 0.501, 'more than 2 values from 0 to 1 can have'],
    ['m2', Number.MAX_VALUE, 'more than 2 values'],
    ['min', 99, 'min 99 is above max'],
    ['last', 20.999, 'last 20.999 lies outside 21 to 22'],
    ['last', 22.001, 'last 22.001 lies outside 21 to 22'],
    ['mean', 1.001, 'mean 1.001 lies outside 0 to 1'],
    ['mean', -0.001, 'mean -0.001 lies outside 0 to 1'],
    ['bucket', 864_000_000_000, 'not in the years 1900 to 2199'],
    ['bucket', Number.MAX_SAFE_INTEGER, 'not in the years 1900 to 2199'],
    ['bucket', -Number.MAX_SAFE_INTEGER, 'not in the years 1900 to 2199'],
    ['lastAt', 10_000, 'lies outside its bucket'],
    ['anomalous', 3, 'must be counts of at most n (2)'],
    ['bucket', 0.5, 'must be whole numbers'],
  ] as const)('refuses a rollup whose %s is %d', (column, value, message) => {
    const columns = { ...rollups.columns, [column]: [value, ...rollups.columns[column].slice(1)] };
    expect(faultOf({ ...batch, records: [{ ...rollups, columns }] })).toContain(message);
  });

  it('takes rollups at the edge of what can be', () => {
    const columns = { ...rollups.columns, n: [1e12, 1], m2: [1e12 / 4, 0], mean: [0, 0] };
    expect(faultOf({ ...batch, records: [{ ...rollups, columns }] })).toBe('none');
  });

  it.each([
    ['constant', Array.from({ length: 1_000 }, () => 1e9 + 0.1)],
    ['nearly constant and large', Array.from({ length: 1_000 }, (_, i) => 1e15 + (i % 2))],
    ['as far apart as they may be', Array.from({ length: 1_000 }, (_, i) => (i % 2 === 0 ? 1e150 : -1e150))],
    ['too small to be squared', Array.from({ length: 10 }, (_, i) => i * 3e-162)],
    ['subnormal', [5e-324, 0, 1e-323]],
    ['one large among small ones', [1e12, ...Array.from({ length: 5_000 }, (_, i) => Math.sin(i))]],
  ])('takes the rollup of readings that are %s', (_what, values) => {
    const sum = aggregateOf(values[0]!, 1_700_000_001_000, false, false);
    for (const value of values.slice(1)) addReading(sum, value, 1_700_000_001_000, false, false);
    const record = rollupsRecord(4, [{ sensor: 0, start: 1_700_000_000_000, aggregate: sum, moving }]);
    expect(faultOf({ ...batch, records: [record] })).toBe('none');
  });

  const tick = batch.records[1]!;
  const counts = { counter: '1-0123abcd', completeFrom: null, hours: [] };
  const hour = { device: 'd', metric: 'm', hour: 1_699_999_200_000, since: 0, n: 5, hash: '0123456789abcdef' };
  const frame = { number: 6, to: 7, readings: 3, anomalies: 0, eventTimes: null };
  it.each<[string, object, string]>([
    ['a tick in the year 275760', { ...tick, watermark: 8.64e15 }, 'records.0.watermark: Too big'],
    ['a tick before 1900', { ...tick, at: -2_208_988_800_001 }, 'records.0.at: Too small'],
    ['a tick at a time between two milliseconds', { ...tick, at: 0.5 }, 'records.0.at'],
    ['a number that is not exact', { ...tick, number: 2 ** 53 }, 'records.0.number'],
    ['a negative number', { ...tick, number: -1 }, 'records.0.number'],
    ['buckets of a year', { ...rollups, bucketMs: 31_536_000_000, base: 0 }, 'records.0.bucketMs: Too big'],
    [
      'a count of 9·10^15 readings',
      { ...tick, counts: { ...counts, hours: [{ ...hour, n: 9e15 }] } },
      'hours.0.n: Too big',
    ],
    ['a negative count', { ...tick, counts: { ...counts, hours: [{ ...hour, n: -1 }] } }, 'hours.0.n: Too small'],
    [
      'a count of half an hour',
      { ...tick, counts: { ...counts, hours: [{ ...hour, hour: 1_800_000 }] } },
      'the start of an hour',
    ],
    [
      'a gap of more numbers than a gateway gives',
      gap(5, 10_000_005),
      'records.0.to: must not stand for more than 10000000 numbers',
    ],
    ['a gap up to the last exact number', gap(5, Number.MAX_SAFE_INTEGER), 'records.0.to'],
    [
      'a gap with a frame outside',
      { ...gap(5, 8), frames: [{ ...frame, to: 9 }] },
      'records.0.frames.0: must lie within 5 to 8',
    ],
    [
      'a gap with a frame that ends before it begins',
      { ...gap(5, 8), frames: [{ ...frame, to: 5 }] },
      'frames.0: must lie',
    ],
    ['a gap with 9·10^15 readings', { ...gap(5, 8), frames: [{ ...frame, readings: 9e15 }] }, 'readings: Too big'],
    [
      'a gap of a time that ends before it begins',
      { ...gap(5, 8), frames: [{ ...frame, eventTimes: { from: 2, to: 1 } }] },
      'must not be before from',
    ],
  ])('refuses %s', (_what, record, message) => {
    expect(faultOf({ ...batch, records: [record] })).toContain(message);
  });

  it('takes a gap of as many numbers as a gateway gives, with frames that follow one another', () => {
    const frames = [frame, { ...frame, number: 8, to: 8, eventTimes: { from: 1, to: 1 } }];
    expect(faultOf({ ...batch, records: [{ ...gap(5, 10_000_004), frames }] })).toBe('none');
  });

  it('refuses columns of different lengths', () => {
    const columns = { ...rollups.columns, max: [1] };
    expect(faultOf({ ...batch, records: [{ ...rollups, columns }] })).toContain(
      'column max has 1 entries, column sensor 2',
    );
  });

  it.each([
    ['an Infinity', { max: [Infinity, 1] }, 'column max has the entry Infinity at 0'],
    ['a text', { last: ['21', 1] }, 'column last has the entry 21 at 0'],
    ['a missing column', { min: undefined }, 'column min is not a list'],
    ['no moving statistics', { moving: null }, 'moving must hold one list'],
    ['a null where a number must be', { mean: [null, 1] }, 'column mean has the entry null at 0'],
  ])('refuses columns with %s', (_what, change, message) => {
    const text = JSON.stringify({ ...batch, records: [{ ...rollups, columns: { ...rollups.columns, ...change } }] });
    const decoded = decodeBatch(new TextEncoder().encode(text.replace('"max":[null,', '"max":[1e999,')));
    expect(decoded.ok ? 'none' : decoded.fault.message).toContain(message);
  });

  it.each([undefined, null, 7, 'text', [], {}])('refuses %j in the place of columns', (columns) => {
    expect(faultOf({ ...batch, records: [{ ...rollups, columns }] })).toMatch(/^invalid: records\.0\.columns/);
  });

  it('never throws on bytes that are no batch', () => {
    expect(decodeBatch(new Uint8Array([0xff, 0xfe]))).toMatchObject({ ok: false, fault: { reason: 'not-json' } });
    expect(decodeBatch(new Uint8Array())).toMatchObject({ ok: false, fault: { reason: 'not-json' } });
    expect(decodeBatch(new Uint8Array(limits.batchBytesMax + 1))).toMatchObject({
      ok: false,
      fault: { reason: 'too-large' },
    });
  });

  it.each([
    ['an object that can not become a text', '{"toString":1,"valueOf":1}'],
    ['a list that is nested too deep for that', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['a long text', `"${'x'.repeat(200_000)}"`],
  ])('never throws, and says it shortly, where a column holds %s', (_what, entry) => {
    const text = JSON.stringify({ ...batch, records: [{ ...rollups, columns: { ...rollups.columns, n: ['#', 1] } }] });
    const decoded = decodeBatch(new TextEncoder().encode(text.replace('"#"', entry)));
    expect(decoded.ok ? 'none' : decoded.fault.message).toMatch(/^records.*column n has the entry .{1,40} at 0/);
  });

  it('begins an epoch with a start record, or with a gap that says what that one named', () => {
    const predecessor = { epoch: '6-0123abcd', last: 80 };
    const start = { kind: 'start', number: 1, predecessor, at: 1_700_000_012_000, clock: 'unknown' };
    expect(faultOf({ ...batch, records: [start] })).toBe('none');
    expect(faultOf({ ...batch, records: [{ ...start, predecessor: null }] })).toBe('none');
    expect(faultOf({ ...batch, records: [{ ...start, number: 2 }] })).toMatch(/^invalid: records\.0\.number: /);
    expect(faultOf({ ...batch, records: [{ ...gap(1, 9), predecessor }] })).toBe('none');
    expect(faultOf({ ...batch, records: [{ ...gap(2, 9), predecessor }] })).toMatch(
      /^invalid: records\.0\.predecessor: /,
    );
  });
});
