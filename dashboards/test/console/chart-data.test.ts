import { epochMs } from '@floorwatch/contracts';
import { describe, expect, test } from 'vitest';

import { chartData, type ChartPoint, extent, mergePoints } from '../../console/src/chart-data.ts';
import { layOutExpected } from '../../console/src/parts/expected-glyph.ts';
import { sparklinePath } from '../../console/src/parts/sparkline.ts';

function point(start: number, mean: number, centre: number | null = 10, sd: number | null = 2): ChartPoint {
  const moving = { countMean: centre, countSd: sd, timeMean: null, timeSd: null, ewMean: 5, ewSd: 1 };
  return { start: epochMs(start), n: 1, mean, min: mean - 1, max: mean + 1, last: mean, anomalous: 0, moving };
}

describe('chart columns', () => {
  test('a point stands in the middle of its time, its band k deviations around the moving mean', () => {
    const data = chartData([point(0, 7)], 10_000, 'count', 3);
    expect(data).toMatchObject({ x: [5], mean: [7], min: [6], max: [8], moving: [10], low: [4], high: [16] });
    expect(chartData([point(0, 7)], 10_000, 'ew', 2)).toMatchObject({ moving: [5], low: [3], high: [7] });
  });

  test('has no band while the statistics are not there', () => {
    expect(chartData([point(0, 7, null, null)], 10_000, 'count', 3)).toMatchObject({
      low: [null],
      high: [null],
      mean: [7],
    });
  });

  test('a silence of more than three steps is a gap, and one of three is not', () => {
    const series = (last: number) => [0, 10_000, 20_000, last].map((start) => point(start, 1));
    expect(chartData(series(50_000), 10_000, 'count', 3).mean).not.toContain(null);
    const data = chartData(series(50_001), 10_000, 'count', 3);
    expect(data.mean).toEqual([1, 1, 1, null, 1]);
    expect([...data.x].sort((a, b) => a - b)).toEqual(data.x);
  });

  test('a sensor that always reports rarely has no gaps', () => {
    const data = chartData(
      [0, 300_000, 600_000].map((start) => point(start, 1)),
      10_000,
      'count',
      3,
    );
    expect(data.mean).toEqual([1, 1, 1]);
  });

  test('nothing makes nothing', () => {
    expect(chartData([], 10_000, 'count', 3).x).toEqual([]);
    expect(extent([])).toBeUndefined();
  });
});

test('newer points replace, join in order, and push out what is too old', () => {
  const merged = mergePoints([point(0, 1), point(10, 1), point(30, 1)], [point(20, 2), point(10, 5)], 10);
  expect(merged.map(({ start, mean }) => [start, mean])).toEqual([
    [10, 5],
    [20, 2],
    [30, 1],
  ]);
  expect(extent(merged)).toEqual({ min: 0, max: 6 });
});

describe('small charts', () => {
  test('span their box from the first to the last value', () => {
    expect(sparklinePath([0, 10])).toBe('M3.0 23.0L93.0 3.0');
  });

  test('do not stretch noise: one in ten thousand is nearly a flat line', () => {
    const ys = sparklinePath([1_000, 1_000.1, 1_000])
      .split(/[ML]/)
      .slice(1)
      .map((part) => Number(part.split(' ')[1]));
    expect(Math.max(...ys) - Math.min(...ys)).toBeLessThan(1);
  });

  test('show a counter rising, however large it is', () => {
    const counter = [749_000, 749_010, 749_019, 749_030, 749_041, 749_050];
    expect(sparklinePath(counter)).toMatch(/^M3\.0 23\.0.*L93\.0 3\.0$/);
    const ys = sparklinePath([749_000, 749_010, 749_019, 749_015, 749_041, 749_050])
      .match(/(?<= )[\d.]+/g)
      ?.map(Number);
    expect(ys?.every((y) => Math.abs(y - 13) < 1)).toBe(true);
  });

  test.each([[[]], [[5]]])('need two values: %j', (values) => {
    expect(sparklinePath(values)).toBe('');
  });

  test('a series of zeros is a line', () => {
    expect(sparklinePath([0, 0])).toBe('M3.0 13.0L93.0 13.0');
  });
});

describe('expected band and value', () => {
  test('keep their order and stay inside', () => {
    const { low, high, value } = layOutExpected(10, 20, 30);
    expect([low, high, value].every((x) => x > 0 && x < 1)).toBe(true);
    expect(low).toBeLessThan(high);
    expect(high).toBeLessThan(value);
    expect(high - low).toBeCloseTo(value - high, 9);
  });

  test('a side without a bound reaches the edge', () => {
    expect(layOutExpected(null, 20, 30).low).toBe(0);
    expect(layOutExpected(20, null, 10)).toMatchObject({ high: 1 });
    expect(layOutExpected(null, null, 0)).toMatchObject({ low: 0, high: 1 });
  });
});
