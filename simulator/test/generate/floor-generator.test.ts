import { type EpochMs, epochMs, sensorKey } from '@floorwatch/contracts';
import { describe, expect, test } from 'vitest';

import { createFloor, rateOf } from '../../src/generate/floor.ts';
import { FloorGenerator } from '../../src/generate/floor-generator.ts';
import { shiftShare } from '../../src/generate/machine-load.ts';
import type { FloorSensor, SourceReading } from '../../src/sensor.ts';
import { groupBy } from '../support/group-by.ts';
import { zOf } from '../support/moving-z.ts';

const START = epochMs(Date.UTC(2026, 2, 2, 9));
const HOUR_MS = 3_600_000;

function readings(
  options: { seed?: number; machines?: number; start?: EpochMs; ratePerSecond?: number },
  ms: number,
): { sensors: FloorSensor[]; all: SourceReading<FloorSensor>[] } {
  const { seed = 1, machines = 8, start = START, ...rest } = options;
  const sensors = createFloor({ seed, machines, ...rest });
  const generator = new FloorGenerator(sensors, seed, start);
  const all: SourceReading<FloorSensor>[] = [];
  while (generator.at < start + ms) all.push(...generator.step());
  return { sensors, all };
}

const plain = ({ sensor, at, value }: SourceReading): string => `${sensor.device}/${sensor.metric} ${at} ${value}`;

const bySensor = (all: readonly SourceReading<FloorSensor>[]): Map<FloorSensor, SourceReading<FloorSensor>[]> =>
  groupBy(all, ({ sensor }) => sensor);

describe('a simulated floor', () => {
  test('the same seed and start give the same readings, another seed gives others', () => {
    const once = readings({}, 60_000).all.map(plain);
    expect(readings({}, 60_000).all.map(plain)).toEqual(once);
    const other = new Set(readings({ seed: 2 }, 60_000).all.map(plain));
    expect(once.filter((line) => other.has(line)).length).toBeLessThan(once.length / 100);
  });

  test('more machines change nothing in those that were there', () => {
    const few = readings({ machines: 3 }, 30_000).all;
    const many = readings({ machines: 9 }, 30_000).all;
    const devices = new Set(few.map(({ sensor }) => sensor.device));
    expect(many.filter(({ sensor }) => devices.has(sensor.device)).map(plain)).toEqual(few.map(plain));
  });

  test('the values of a known seed stay what they are from release to release', () => {
    const { all } = readings({ seed: 7, machines: 2 }, 1_000);
    expect(all.slice(0, 6).map(plain)).toMatchInlineSnapshot(`
      [
        "press-01/current 1772442000032 60",
        "pump-01/vibration 1772442000050 1.98",
        "press-01/temperature 1772442000103 49",
        "pump-01/temperature 1772442000103 40.6",
        "pump-01/pressure 1772442000285 4.75",
        "press-01/vibration 1772442000304 3.38",
      ]
    `);
  });

  test('that is started again is where it would have come to, but for the noise', () => {
    const options = { seed: 3, machines: 12 };
    const means = (from: number): Map<string, number> => {
      const generator = new FloorGenerator(createFloor(options), options.seed, epochMs(from));
      const sums = new Map<string, [sum: number, n: number]>();
      while (generator.at < START + 120_000) {
        for (const { sensor, at, value } of generator.step()) {
          if (at < START + 60_000) continue;
          const [sum, n] = sums.get(sensorKey(sensor)) ?? [0, 0];
          sums.set(sensorKey(sensor), [sum + value, n + 1]);
        }
      }
      return new Map([...sums].map(([key, [sum, n]]) => [key, sum / n]));
    };
    const [before, again] = [means(START - 1_800_000), means(START + 30_000)];
    for (const sensor of createFloor(options)) {
      const key = sensorKey(sensor);
      expect(Math.abs(before.get(key)! - again.get(key)!), key).toBeLessThan(4 * sensor.spread);
    }
  });

  test('has every metric that a factory has, each with a unit, and names that count up by kind', () => {
    const sensors = createFloor({ seed: 1, machines: 16 });
    const metrics = new Set(sensors.map(({ metric }) => metric));
    for (const metric of [
      'temperature',
      'vibration',
      'pressure',
      'current',
      'humidity',
      'flow',
      'level',
      'cycle-count',
    ]) {
      expect(metrics).toContain(metric);
    }
    expect(sensors.every(({ unit }) => unit.length > 0)).toBe(true);
    expect([...new Set(sensors.map(({ device }) => device))].slice(0, 9)).toEqual([
      'press-01',
      'pump-01',
      'oven-01',
      'compressor-01',
      'tank-01',
      'packer-01',
      'chiller-01',
      'hall-01',
      'press-02',
    ]);
  });

  test('readings come in the order of time, each sensor in its cadence, rising, within its range and in its steps', () => {
    const { all } = readings({}, 10 * 60_000);
    expect(all.every(({ at }, i) => at >= (all[i - 1]?.at ?? 0))).toBe(true);
    for (const [sensor, own] of bySensor(all)) {
      expect(own.length).toBeGreaterThanOrEqual(Math.floor((10 * 60_000) / sensor.intervalMs) - 1);
      for (const [i, { at, value }] of own.entries()) {
        const before = own[i - 1];
        expect(at - (before?.at ?? -Infinity)).toBeGreaterThan(sensor.intervalMs * 0.9);
        expect(value).toBeGreaterThanOrEqual(sensor.low);
        expect(value).toBeLessThanOrEqual(sensor.high);
        expect(Math.abs(value / sensor.resolution - Math.round(value / sensor.resolution))).toBeLessThan(1e-6);
      }
    }
  });

  test('sensors of one machine follow one load: what its current does, its vibration does', () => {
    const { all } = readings({ machines: 1 }, 6 * HOUR_MS);
    const minuteMeans = (metric: string): number[] => {
      const own = all.filter(({ sensor }) => sensor.metric === metric);
      return [...groupBy(own, ({ at }) => Math.floor(at / 60_000)).values()].map(
        (group) => group.reduce((sum, { value }) => sum + value, 0) / group.length,
      );
    };
    expect(correlation(minuteMeans('current'), minuteMeans('vibration'))).toBeGreaterThan(0.8);
  });

  test('noise remembers itself: neighbouring readings of a steady sensor are alike', () => {
    const { all } = readings({ machines: 8 }, HOUR_MS);
    const hall = all.filter(({ sensor }) => sensor.device === 'hall-01' && sensor.metric === 'humidity');
    const values = hall.map(({ value }) => value);
    expect(correlation(values.slice(1), values.slice(0, -1))).toBeGreaterThan(0.3);
  });

  test('the night shift works less, and hands over smoothly', () => {
    const at = (hour: number): number => shiftShare(epochMs(Date.UTC(2026, 2, 2, 0, Math.round(hour * 60))));
    expect([at(3), at(10), at(18)]).toEqual([0.85, 1, 0.95]);
    const steps = Array.from({ length: 24 * 60 }, (_, minute) => Math.abs(at((minute + 1) / 60) - at(minute / 60)));
    expect(Math.max(...steps)).toBeLessThan(0.02);
  });

  test.each([1, 2, 3])('nothing stands out while nothing is wrong (seed %i)', (seed) => {
    const { all } = readings({ seed, machines: 8 }, 2 * HOUR_MS);
    let scored = 0;
    let alarming = 0;
    for (const [sensor, own] of bySensor(all)) {
      if (sensor.signal.kind === 'counter') continue;
      for (let i = 64; i < own.length; i += 3) {
        const z = zOf(
          own[i]?.value ?? 0,
          own.slice(i - 64, i).map(({ value }) => value),
        );
        scored += 1;
        if (Math.abs(z) > 5) alarming += 1;
      }
    }
    expect(scored).toBeGreaterThan(40_000);
    expect(alarming / scored).toBeLessThan(5e-5);
  });

  test('a count only rises, and faster under load', () => {
    const { all } = readings({ machines: 1 }, HOUR_MS);
    const counts = all.filter(({ sensor }) => sensor.metric === 'cycle-count').map(({ value }) => value);
    expect(counts.every((value, i) => value >= (counts[i - 1] ?? 0) && Number.isInteger(value))).toBe(true);
    expect((counts.at(-1) ?? 0) - (counts[0] ?? 0)).toBeGreaterThan(500);
  });

  test('a rate scales every cadence, and one that needs two readings in a millisecond is refused with a remedy', () => {
    const sensors = createFloor({ seed: 1, machines: 8, ratePerSecond: 5_000 });
    expect(rateOf(sensors)).toBeCloseTo(5_000);
    const { all } = readings({ machines: 8, ratePerSecond: 5_000 }, 2_000);
    expect(all.length / 2).toBeGreaterThan(4_900);
    expect(all.length / 2).toBeLessThan(5_100);
    expect(() => createFloor({ seed: 1, machines: 1, ratePerSecond: 100_000 })).toThrow(
      /--rate 100000.*--machines \d+/,
    );
    const enough = Number(
      /--machines (\d+)/.exec(messageOf(() => createFloor({ seed: 1, machines: 1, ratePerSecond: 100_000 })))?.[1],
    );
    expect(createFloor({ seed: 1, machines: enough, ratePerSecond: 100_000 }).length).toBeGreaterThan(0);
  });
});

function messageOf(action: () => unknown): string {
  try {
    action();
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : '';
  }
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (xs: readonly number[]): number => xs.reduce((sum, x) => sum + x, 0) / xs.length;
  const [ma, mb] = [mean(a), mean(b)];
  const covariance = a.reduce((sum, x, i) => sum + (x - ma) * ((b[i] ?? 0) - mb), 0);
  const spread = (xs: readonly number[], m: number): number => Math.sqrt(xs.reduce((sum, x) => sum + (x - m) ** 2, 0));
  return covariance / (spread(a, ma) * spread(b, mb));
}
