import { describe, expect, it } from 'vitest';

import { compareWindows, Ledger, type WindowSums } from './ledger.ts';
import { Series } from './series.ts';
import { StreamOracle } from './stream-oracle.ts';

import { epochMs } from '@floorwatch/contracts';

const MINUTE = 60_000;
const LATENESS_MS = 30_000;
const first = { kind: 'start', number: 1, predecessor: null, at: 1, clock: 'unknown' };

/** A record with two readings of one sensor, 1 and 3, in the first bucket. */
const rollups = (number: number, sensor = 0): Record<string, unknown> => ({
  kind: 'rollups',
  number,
  bucketMs: 10_000,
  base: MINUTE,
  columns: { sensor: [sensor], bucket: [0], n: [2], reference: [1], mean: [1], min: [1], max: [3] },
});
const anomaly = (number: number, phase: string): Record<string, unknown> => ({
  kind: 'anomaly',
  number,
  phase,
  id: 'a',
  detector: 'limit',
  provenance: 'live',
  ...(phase === 'closed' ? { closeReason: 'recovered' } : {}),
});
const gap = (number: number, to: number): Record<string, unknown> => ({
  kind: 'gap',
  number,
  to,
  reason: 'cap',
  frames: [{ number, to, readings: 7, anomalies: 0, eventTimes: null }],
});

/** An oracle that has heard these batches. */
function hear(...batches: readonly (readonly [lane: string, epoch: string, ...records: unknown[]])[]): StreamOracle {
  const oracle = new StreamOracle([], LATENESS_MS);
  for (const [index, [lane, epoch, ...records]] of batches.entries()) {
    const sensors = [
      { device: 'm', metric: 'a' },
      { device: 'm', metric: 'b' },
    ];
    const data = Buffer.from(JSON.stringify({ lane, epoch, sensors, records }));
    oracle.take({ sequence: index + 1, subject: `ingest.v1.0.site.gateway.${lane}`, data });
  }
  return oracle;
}

describe('the judge of the stream', () => {
  it('finds nothing wrong with epochs that follow one another, and counts each number once', () => {
    const oracle = hear(
      ['telemetry', '1-a', first, rollups(2)],
      ['telemetry', '1-a', rollups(2)],
      ['telemetry', '2-b', { ...first, predecessor: { epoch: '1-a', last: 2 } }, rollups(2)],
    );
    expect(oracle.violations()).toEqual([]);
    expect(oracle.repeats).toBe(1);
    expect([...oracle.windows]).toEqual([[`m/a ${MINUTE}`, { n: 4, sum: 8, min: 1, max: 3 }]]);
    expect(oracle.newestEpoch('telemetry')).toBe('2-b');
  });

  it.each([
    ['a number that never came', [first, gap(2, 3)], [rollups(5)], 'numbers up to 5 are missing'],
    ['a repeat with another content', [first, rollups(2)], [rollups(2, 1)], 'came again with another content'],
    ['a record behind the gap that replaced it', [first, gap(2, 3)], [rollups(2)], 'was told as lost, and came'],
    ['a gap over a part of what came', [first, rollups(2)], [gap(2, 3)], 'covers records that came'],
    ['a batch with a hole in it', [first, rollups(3)], [rollups(2)], '3 follows 1'],
    ['an unknown kind', [first], [{ kind: 'other', number: 2 }], 'unknown kind'],
  ])('reports %s', (_, records, more, violation) => {
    const oracle = hear(['telemetry', '1-a', ...records], ['telemetry', '1-a', ...more]);
    expect(oracle.violations().join('\n')).toContain(violation);
  });

  it.each([
    ['an epoch without a start', ['telemetry', '2-b', rollups(1)], 'nothing says which epoch came before'],
    [
      'a start that skips the end of the epoch before',
      ['telemetry', '2-b', { ...first, predecessor: { epoch: '1-a', last: 1 } }],
      'ended at 1, heard of 2',
    ],
    [
      'a predecessor that nobody knows',
      ['telemetry', '2-b', { ...first, predecessor: { epoch: '0-c', last: 1 } }],
      'was never heard of',
    ],
    ['a second beginning', ['telemetry', '2-b', first], '2 epochs say that none came before'],
  ] as const)('reports %s', (_, batch, violation) => {
    const oracle = hear(['telemetry', '1-a', first, rollups(2)], batch);
    expect(oracle.violations().join('\n')).toContain(violation);
  });

  it('reports two successors of one epoch', () => {
    const next = { ...first, predecessor: { epoch: '1-a', last: 1 } };
    const oracle = hear(['telemetry', '1-a', first], ['telemetry', '2-b', next], ['telemetry', '2-c', next]);
    expect(oracle.violations().join('\n')).toContain('has 2 successors');
    expect(oracle.newestEpoch('telemetry')).toBeUndefined();
  });

  it.each([
    ['opened twice', ['opened', 'opened'], 'opened 2 times'],
    ['closed twice', ['opened', 'closed', 'closed'], 'goes on after it was closed'],
    ['updated before it was opened', ['updated', 'opened'], 'goes on before it was opened'],
  ])('reports an episode that is %s', (_, phases, violation) => {
    const records = phases.map((phase, index) => anomaly(index + 2, phase));
    expect(
      hear(['anomaly', '1-a', first, ...records])
        .violations()
        .join('\n'),
    ).toContain(violation);
  });

  it('takes a record for the same when only its provenance and its place in the list of sensors differ', () => {
    const oracle = hear(
      ['anomaly', '1-a', first, anomaly(2, 'opened')],
      ['anomaly', '1-a', { ...anomaly(2, 'opened'), provenance: 'backlog' }],
    );
    const data = Buffer.from(
      JSON.stringify({
        lane: 'telemetry',
        epoch: '1-a',
        sensors: [{ device: 'm', metric: 'b' }],
        records: [first, rollups(2)],
      }),
    );
    const same = Buffer.from(
      JSON.stringify({
        lane: 'telemetry',
        epoch: '1-a',
        sensors: [
          { device: 'm', metric: 'a' },
          { device: 'm', metric: 'b' },
        ],
        records: [rollups(2, 1)],
      }),
    );
    for (const bytes of [data, same]) oracle.take({ sequence: 9, subject: 'ingest.telemetry', data: bytes });
    expect(oracle.violations()).toEqual([]);
    expect(oracle.repeats).toBe(2);
  });

  it.each([
    ['just before its seal', -1, []],
    ['at its seal', 0, [[`m/a ${MINUTE}`, 2]]],
    ['behind its seal', 1, [[`m/a ${MINUTE}`, 2]]],
  ] as const)(
    'counts as late what comes when the watermark has passed the end of its minute: %s',
    (_, behind, late) => {
      const tick = { kind: 'tick', number: 2, watermark: 2 * MINUTE + LATENESS_MS + behind };
      const oracle = hear(['telemetry', '1-a', first, tick, rollups(3)], ['telemetry', '1-a', rollups(3)]);
      expect([...oracle.late]).toEqual(late);
    },
  );

  it('adds up what each start of a gateway has counted last', () => {
    const status = (number: number, readingsRejected: number): Record<string, unknown> => ({
      kind: 'status',
      number,
      counters: { readingsRejected },
    });
    const oracle = hear(
      ['telemetry', '1-a', first, status(2, 3), status(3, 5)],
      ['telemetry', '2-b', { ...first, predecessor: { epoch: '1-a', last: 3 } }, status(2, 7)],
    );
    expect(oracle.counter('readingsRejected')).toBe(12);
  });

  it('keeps what a gap says of the readings that it stands for', () => {
    const oracle = hear(['telemetry', '1-a', first, gap(2, 9)]);
    expect(oracle.violations()).toEqual([]);
    expect(oracle.gaps).toEqual([{ lane: 'telemetry', epoch: '1-a', from: 2, to: 9, reason: 'cap', readings: 7 }]);
  });
});

describe('the comparison of windows', () => {
  const series = new Series({ seed: 1, sensors: 10, from: epochMs(MINUTE), stepMs: 1_000 });
  const ledger = new Ledger(series);
  for (let sensor = 0; sensor < 10; sensor++) {
    for (let i = 0; i < 150; i++) ledger.acknowledge(sensor, ledger.next(sensor).index);
  }
  const changed = (change: (sums: WindowSums, key: string) => void): ReturnType<typeof compareWindows> => {
    const sums = ledger.windows();
    const key = [...sums.keys()][1] ?? '';
    change(sums, key);
    return compareWindows(ledger.windows(), sums);
  };

  it('finds what the ledger holds equal to itself', () => {
    expect(changed(() => undefined)).toEqual({ lost: 0, doubled: 0, changed: 0, examples: [] });
  });

  it.each([
    ['one lost', (sums: WindowSums, key: string) => void (sums.get(key)!.n -= 1), { lost: 1, doubled: 0, changed: 0 }],
    [
      'one doubled',
      (sums: WindowSums, key: string) => void (sums.get(key)!.n += 1),
      { lost: 0, doubled: 1, changed: 0 },
    ],
    [
      'one in the place of another',
      (sums: WindowSums, key: string) => void (sums.get(key)!.sum += 1e-4),
      { lost: 0, doubled: 0, changed: 1 },
    ],
    [
      'a whole window lost',
      (sums: WindowSums, key: string) => void sums.delete(key),
      { lost: 60, doubled: 0, changed: 0 },
    ],
    [
      'a window that nobody sent',
      (sums: WindowSums) => void sums.set('m/x 0', { n: 3, sum: 1, min: 0, max: 1 }),
      { lost: 0, doubled: 3, changed: 0 },
    ],
  ])('finds %s', (_, change, difference) => {
    expect(changed(change)).toMatchObject(difference);
  });

  it('has late devices send every other reading later, and none twice', () => {
    const late = new Series({ seed: 1, sensors: 10, from: epochMs(0), stepMs: 1_000, lateDevices: 1 });
    const times = Array.from({ length: 2_000 }, (_, index) => late.reading(9, index).eventTime);
    expect(new Set(times).size).toBe(2_000);
    expect(times.filter((time, index) => time < (times[index - 1] ?? -Infinity))).toHaveLength(1_000);
    expect(late.reading(4, 1_001).eventTime).toBeGreaterThan(late.reading(4, 1_000).eventTime);
  });

  it('makes the same reading again from its place, and no two alike within a minute', () => {
    expect(series.reading(3, 77)).toEqual(series.reading(3, 77));
    const values = new Set(Array.from({ length: 60 }, (_, index) => series.reading(3, index).value));
    expect(values.size).toBe(60);
  });
});
