import { durationMs, type EpochMs, epochMs } from '@floorwatch/contracts';
import fc from 'fast-check';
import * as batch from 'simple-statistics';
import { describe, expect, it } from 'vitest';

import { CountWindow } from '../../src/stats/count-window.ts';
import { ExponentialWindow } from '../../src/stats/exponential-window.ts';
import type { MovingStatistic } from '../../src/stats/moving-statistic.ts';
import { ReadingInHand } from '../../src/stats/reading-in-hand.ts';
import { SensorStatistics } from '../../src/stats/sensor-statistics.ts';
import { TimeWindow } from '../../src/stats/time-window.ts';
import { seattleWeather, SERIES, type TimedValue } from './series.ts';

interface Expected {
  readonly n: number;
  /** Mean of value − the series' first value. */
  readonly mean: number;
  readonly variance: number;
  /** The largest distance from the value that the sums are relative to. */
  readonly scale: number;
}

/** The batch reference over the values of a window, relative to the window's first. */
function batchOf(window: readonly TimedValue[], first: number): Expected {
  const [{ value: origin } = { value: 0 }] = window;
  const shifted = window.map(({ value }) => value - origin);
  const scale = shifted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const mean = batch.mean(shifted) + (origin - first);
  return { n: window.length, mean, variance: batch.variance(shifted), scale };
}

/** What is wrong about `actual`, or undefined. */
function findDifference(what: string, actual: number, expected: number, absolute: number): string | undefined {
  const allowed = Math.max(1e-9 * Math.abs(expected), absolute);
  if (Math.abs(actual - expected) <= allowed) return undefined;
  return `${what} is ${actual}, the batch reference says ${expected} ± ${allowed}`;
}

const reading = new ReadingInHand();

/** Feeds the series into slot 3, compares after every update, and returns the first difference. */
function follow(
  statistic: MovingStatistic,
  series: readonly TimedValue[],
  reference: (seen: readonly TimedValue[], first: number) => Expected,
): string | undefined {
  const slot = 3;
  statistic.reserve(slot + 1);
  const first = series[0]?.value ?? 0;
  for (const [i, { at, value }] of series.entries()) {
    statistic.add(slot, reading.set(at, value));
    const { n, mean, variance, scale } = reference(series.slice(0, i + 1), first);
    const meanScale = 1e-12 * Math.max(scale, Math.abs(mean));
    const difference =
      findDifference('count', statistic.count(slot), n, 0) ??
      findDifference('variance', statistic.variance(slot), variance, 1e-12 * scale ** 2) ??
      // first − (moving mean) tells the mean's offset without the rounding of a sum with a huge value.
      findDifference('mean − first', -statistic.deviation(slot, first), mean, meanScale) ??
      findDifference('mean', statistic.mean(slot), first + mean, meanScale);
    if (difference !== undefined) return `after ${i + 1} readings, ${difference}`;
  }
  return undefined;
}

const lastReadings = (size: number) => (seen: readonly TimedValue[], first: number) =>
  batchOf(seen.slice(-size), first);

const lastPanes = (paneMs: number) => (seen: readonly TimedValue[], first: number) => {
  const newest = Math.floor((seen.at(-1)?.at ?? 0) / paneMs);
  return batchOf(
    seen.filter(({ at }) => Math.floor(at / paneMs) > newest - 12),
    first,
  );
};

/** Weights written out: reading i of n weighs α(i) times (1 − α) of every later one; then two passes over all readings. */
const weighted =
  (readings: number) =>
  (seen: readonly TimedValue[], first: number): Expected => {
    const alpha = (n: number): number => Math.max(1 / n, 2 / (readings + 1));
    let rest = 1;
    const weights = seen
      .map((_, i) => {
        const n = seen.length - i;
        const weight = rest * alpha(n);
        rest *= 1 - alpha(n);
        return weight;
      })
      .toReversed();
    const shifted = seen.map(({ value }) => value - first);
    const mean = batch.sum(shifted.map((value, i) => value * (weights[i] ?? 0)));
    const variance = batch.sum(shifted.map((value, i) => (value - mean) ** 2 * (weights[i] ?? 0)));
    return { n: seen.length, mean, variance, scale: Math.max(...shifted.map(Math.abs)) };
  };

const FORMS = {
  'count window of 2': { make: () => new CountWindow(2), reference: lastReadings(2) },
  'count window of 3': { make: () => new CountWindow(3), reference: lastReadings(3) },
  'count window of 64': { make: () => new CountWindow(64), reference: lastReadings(64) },
  'time window of 15 minutes': { make: () => new TimeWindow(durationMs(900_000)), reference: lastPanes(75_000) },
  'time window of 12 days': {
    make: () => new TimeWindow(durationMs(12 * 86_400_000)),
    reference: lastPanes(86_400_000),
  },
  'exponential window of 6': { make: () => new ExponentialWindow(6), reference: weighted(6) },
  'exponential window of 100': { make: () => new ExponentialWindow(100), reference: weighted(100) },
};

describe.each(Object.entries(FORMS))('%s', (_name, { make, reference }) => {
  it.each(Object.entries(SERIES))('agrees with the batch reference after every reading of %s', (_series, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (series) => {
        expect(follow(make(), series, reference)).toBeUndefined();
      }),
      { numRuns: 30 },
    );
  });

  it.each(Object.entries(seattleWeather()))(
    'agrees with the batch reference after every reading of %s',
    (_series, series) => {
      expect(follow(make(), series.slice(0, 1_500), reference)).toBeUndefined();
    },
  );

  it('keeps the variance of a long series at 1e9 ± 1e-3', () => {
    const series = Array.from({ length: 1_000 }, (_, i) => ({
      at: epochMs(i * 1_000),
      value: 1e9 + Math.sin(i * i) * 1e-3,
    }));
    expect(follow(make(), series, reference)).toBeUndefined();
  });

  it('has no mean and no variance before the first reading, and variance 0 after it', () => {
    const statistic = make();
    statistic.reserve(1);
    expect(statistic.count(0)).toBe(0);
    expect([statistic.mean(0), statistic.variance(0), statistic.deviation(0, 5)]).toEqual([NaN, NaN, NaN]);
    statistic.add(0, reading.set(epochMs(-1), -7.5));
    expect([statistic.count(0), statistic.mean(0), statistic.variance(0)]).toEqual([1, -7.5, 0]);
    expect(statistic.deviation(0, -7)).toBe(0.5);
  });

  it('has variance 0 exactly, once all readings in the window are equal', () => {
    const statistic = make();
    statistic.reserve(1);
    const values = [3, 1e7, ...Array.from({ length: 64 }, () => 0.1)];
    for (const [i, value] of values.entries()) statistic.add(0, reading.set(epochMs(i * 86_400_000 * 12), value));
    // The exponential one never forgets all.
    const forgets = !(statistic instanceof ExponentialWindow);
    expect(statistic.variance(0) === 0).toBe(forgets);
    expect(statistic.deviation(0, 0.1) === 0).toBe(forgets);
  });

  it('keeps sensors apart, and their state when room is made for more', () => {
    const together = make();
    const alone = Array.from({ length: 40 }, (): MovingStatistic => make());
    for (const statistic of alone) statistic.reserve(1);
    for (let i = 0; i < 4_000; i++) {
      const slot = i % Math.min(40, 1 + Math.floor(i / 50));
      const [at, value] = [epochMs(i * 997), Math.sin(i) * slot];
      together.reserve(slot + 1);
      together.add(slot, reading.set(at, value));
      alone[slot]?.add(0, reading.set(at, value));
    }
    for (const [slot, statistic] of alone.entries()) {
      expect(together.count(slot)).toBe(statistic.count(0));
      expect(together.mean(slot)).toBe(statistic.mean(0));
      expect(together.variance(slot)).toBe(statistic.variance(0));
    }
  });

  it('stays finite with the largest values that are taken', () => {
    const statistic = make();
    statistic.reserve(1);
    for (let i = 0; i < 300; i++) {
      statistic.add(0, reading.set(epochMs(i * 1_000), i % 2 === 0 ? 1e150 : -1e150));
      expect(Number.isFinite(statistic.mean(0))).toBe(true);
      expect(Number.isFinite(statistic.variance(0))).toBe(true);
    }
  });
});

describe('time window', () => {
  const minutes = (n: number): EpochMs => epochMs(n * 60_000);
  const filled = (): TimeWindow => {
    const window = new TimeWindow(durationMs(12 * 60_000));
    window.reserve(1);
    window.add(0, reading.set(minutes(10), 1));
    window.add(0, reading.set(minutes(15), 3));
    return window;
  };

  it.each([
    ['just before the pane of a reading is 12 panes old, the reading counts', epochMs(minutes(22) - 1), [3, 3]],
    ['exactly when its pane is 12 panes old, it is forgotten', minutes(22), [2, 4]],
    ['just after, it stays forgotten', epochMs(minutes(22) + 1), [2, 4]],
    ['all is forgotten after a gap longer than the window', minutes(100_000), [1, 5]],
  ])('%s', (_name, at, [count, mean]) => {
    const window = filled();
    window.add(0, reading.set(at, 5));
    expect([window.count(0), window.mean(0)]).toEqual([count, mean]);
  });
});

describe('exponential window', () => {
  it('is the plain mean and variance while 1/n is above its weight', () => {
    const window = new ExponentialWindow(99);
    window.reserve(1);
    const values = Array.from({ length: 50 }, (_, i) => Math.cos(i * 7));
    for (const [i, value] of values.entries()) window.add(0, reading.set(epochMs(i), value));
    expect(window.mean(0)).toBeCloseTo(batch.mean(values), 12);
    expect(window.variance(0)).toBeCloseTo(batch.variance(values), 12);
  });
});

describe('sensor statistics', () => {
  const statistics = (): SensorStatistics => {
    const made = new SensorStatistics({ countReadings: 2, timeWindowMs: 12_000, ewReadings: 3 });
    made.reserve(1);
    return made;
  };

  it('are all null before the first reading', () => {
    expect(new Set(Object.values(statistics().snapshot(0)))).toEqual(new Set([null]));
  });

  it('have means but no deviations after one reading', () => {
    const made = statistics();
    made.add(0, reading.set(epochMs(0), 8));
    expect(made.snapshot(0)).toEqual({ countMean: 8, countSd: null, timeMean: 8, timeSd: null, ewMean: 8, ewSd: null });
  });

  it('differ by what they forget', () => {
    const made = statistics();
    for (const [i, value] of [0, 4, 8].entries()) made.add(0, reading.set(epochMs(i * 1_000), value));
    const { countMean, countSd, timeMean, timeSd, ewMean } = made.snapshot(0);
    expect([countMean, countSd, timeMean]).toEqual([6, 2, 4]);
    expect(timeSd).toBeCloseTo(Math.sqrt(32 / 3), 12);
    expect(ewMean).toBe(5);
  });
});
