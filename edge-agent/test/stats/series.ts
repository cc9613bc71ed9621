import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { type EpochMs, epochMs } from '@floorwatch/contracts';
import fc from 'fast-check';

export interface TimedValue {
  readonly at: EpochMs;
  readonly value: number;
}

const START = Date.UTC(2024, 0, 1);

/** Values at irregular times: mostly seconds apart, now and then equal times and gaps of up to a day. */
function timed(values: fc.Arbitrary<number>): fc.Arbitrary<TimedValue[]> {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 5_000 }) },
    { weight: 1, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 86_400_000 }) },
  );
  return fc
    .array(fc.tuple(step, values), { minLength: 1, maxLength: 200, size: 'max' })
    .map((pairs) => at(START, pairs));
}

function at(start: number, pairs: readonly (readonly [number, number])[]): TimedValue[] {
  let time = start;
  return pairs.map(([step, value]) => {
    time += step;
    return { at: epochMs(time), value };
  });
}

/** Doubles, except those so small that their squares have no digits left: both sides would compare their rounding only. */
const double = (min: number, max: number): fc.Arbitrary<number> =>
  fc.double({ min, max, noNaN: true }).map((value) => (Math.abs(value) < 1e-100 ? 0 : value));

/** Kinds of series that break careless sums, by name. */
export const SERIES: Readonly<Record<string, fc.Arbitrary<TimedValue[]>>> = {
  'random values': timed(double(-1e6, 1e6)),
  'values around 1e9 that differ by 1e-3': timed(double(-1e-3, 1e-3).map((offset) => 1e9 + offset)),
  'one value again and again': double(-1e12, 1e12).chain((value) => timed(fc.constant(value))),
  'values in coarse steps': timed(fc.integer({ min: 0, max: 4 }).map((step) => 20 + step / 10)),
  'values of very different size': timed(
    fc.tuple(double(-1, 1), fc.integer({ min: -9, max: 9 })).map(([value, exponent]) => value * 10 ** exponent),
  ),
  'small noise with huge spikes': timed(
    fc.oneof({ weight: 30, arbitrary: double(19.9, 20.1) }, { weight: 1, arbitrary: fc.constantFrom(1e9, -1e6, 0) }),
  ),
  'a step from 0 to 1e9 with noise of 1e-3': fc
    .tuple(timed(double(-1e-3, 1e-3)), fc.integer({ min: 1, max: 60 }))
    .map(([series, step]) => series.map((one, i) => (i < step ? one : { ...one, value: one.value + 1e9 }))),
};

/** Four years of Seattle's daily highest temperatures, and a year of its hourly normals. */
export function seattleWeather(): Readonly<Record<string, TimedValue[]>> {
  const read = (file: string, column: string): TimedValue[] => {
    const main = createRequire(import.meta.url).resolve('vega-datasets');
    const [head = '', ...lines] = readFileSync(new URL(`../data/${file}`, `file://${main}`), 'utf8')
      .trim()
      .split('\n');
    const index = head.trim().split(',').indexOf(column);
    return lines.map((line) => {
      const cells = line.trim().split(',');
      const [date = ''] = cells;
      const iso = date.length === 10 ? date : `${date}Z`;
      return { at: epochMs(Date.parse(iso)), value: Number(cells[index]) };
    });
  };
  return {
    'daily highest temperature': read('seattle-weather.csv', 'temp_max'),
    'hourly pressure': read('seattle-weather-hourly-normals.csv', 'pressure'),
  };
}
