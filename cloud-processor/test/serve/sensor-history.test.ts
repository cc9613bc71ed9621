import { type Aggregate, meanOf, mergeAggregate } from '@floorwatch/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { serveLimits } from '../../src/serve/limits.ts';
import { SensorHistory } from '../../src/serve/sensor-history.ts';
import { BASE, MOVING, reading, rollup } from './floor-fixture.ts';

const unlimited = { take: () => true };
const STEP = 10_000;

test('keeps what a plain map of the last half hour would keep, in whatever order rollups come', () => {
  const rollups = fc.array(
    fc.record({ step: fc.integer({ min: 0, max: 400 }), value: fc.integer({ min: -5, max: 5 }) }),
    {
      maxLength: 300,
    },
  );
  fc.assert(
    fc.property(rollups, (list) => {
      const history = new SensorHistory(unlimited);
      const plain = new Map<number, Aggregate>();
      let newest = -Infinity;
      for (const { step, value } of list) {
        const start = BASE + step * STEP;
        const aggregate = reading(value, start + 1);
        history.add(rollup(start, aggregate), 0);
        if (start < newest - serveLimits.historyMs) continue;
        newest = Math.max(newest, start);
        const known = plain.get(start);
        if (known === undefined) plain.set(start, { ...aggregate });
        else mergeAggregate(known, aggregate);
        for (const old of [...plain.keys()].sort((a, b) => a - b)) {
          if (old < newest - serveLimits.historyMs || plain.size > serveLimits.pointsPerSensorMax) plain.delete(old);
        }
      }
      const expected = [...plain].sort(([a], [b]) => a - b);
      const points = history.points(-Infinity, Infinity);
      expect(points.map(({ start, n, min, max, last }) => [start, n, min, max, last])).toEqual(
        expected.map(([start, { n, min, max, last }]) => [start, n, min, max, last]),
      );
      for (const [index, [, aggregate]] of expected.entries()) {
        expect(points[index]?.mean).toBeCloseTo(meanOf(aggregate), 9);
      }
    }),
  );
});

test('a late rollup of the same bucket joins its point and leaves the newer last reading alone', () => {
  const history = new SensorHistory(unlimited);
  history.add(rollup(BASE, reading(10, BASE + 9_000)), 0);
  const index = history.add(rollup(BASE, reading(40, BASE + 1_000), { ...MOVING, countMean: 1 }), 0);
  expect(history.point(index ?? -1)).toMatchObject({
    n: 2,
    mean: 25,
    min: 10,
    max: 40,
    last: 10,
    moving: { countMean: 70, ewMean: null },
  });
});

test.each([
  [serveLimits.historyMs - STEP, 2],
  [serveLimits.historyMs, 2],
  [serveLimits.historyMs + STEP, 1],
])('a point %i ms before the newest: %i are left', (distance, left) => {
  const history = new SensorHistory(unlimited);
  history.add(rollup(BASE, reading(1, BASE)), 0);
  history.add(rollup(BASE + distance, reading(2, BASE + distance)), 0);
  expect(history.length).toBe(left);
});

test('without budget a sensor keeps its minimum, the newest points', () => {
  const history = new SensorHistory({ take: () => false });
  for (let i = 0; i < 100; i++) history.add(rollup(BASE + i * STEP, reading(i, BASE + i * STEP)), 0);
  const { last } = history.lasts(1_000);
  expect(last).toHaveLength(serveLimits.pointsPerSensorMin);
  expect(last.at(-1)).toBe(99);
  expect(history.add(rollup(BASE, reading(0, BASE)), 0)).toBeUndefined();
});
