import {
  addHash,
  type Aggregate,
  aggregateOf,
  days,
  epochMs,
  hashText,
  type LateRow,
  meanOf,
  mergeAggregate,
  noHashes,
  rollupAggregate,
  rollupMoving,
  type RollupSensor,
  seconds,
  sensorId,
  shift,
  varianceOf,
  type WindowRow,
} from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { WindowOperator } from '../../src/window/window-operator.ts';
import {
  BASE,
  GATEWAY,
  hashOfReading,
  Kept,
  MINUTE,
  rollups,
  SENSORS,
  type TestReading,
  windowConfig,
} from '../support/floor.ts';

const LATENESS = 30_000;
const FAR = epochMs(BASE + 100 * 86_400_000);

const reading = (at: number, value = 1, sensor = 0): TestReading => ({ sensor, at: BASE + at, value });

/** Merges readings, one record per list, and seals everything. */
function windowsOf(
  lists: readonly (readonly TestReading[])[],
  operator = new WindowOperator(windowConfig()),
): WindowRow[] {
  const out = new Kept<WindowRow | LateRow>();
  for (const [index, list] of lists.entries()) operator.merge(GATEWAY, SENSORS, rollups(index + 1, list), 1, out);
  operator.advance(GATEWAY, FAR, out);
  expect(out.items.filter((row) => row.table === 'late')).toEqual([]);
  return out.items.filter((row) => row.table === 'window');
}

/** The windows by the definition: every reading looks for its interval, and the values of each are summed in two passes. */
function oracle(
  readings: readonly TestReading[],
  sizes: readonly number[],
): Map<string, { n: number; mean: number; variance: number; min: number; max: number }> {
  const values = new Map<string, number[]>();
  for (const { sensor, at, value } of readings) {
    for (const size of sizes) {
      const key = `${sensor} ${size} ${Math.floor(at / size) * size}`;
      values.set(key, [...(values.get(key) ?? []), value]);
    }
  }
  return new Map(
    Array.from(values, ([key, list]) => {
      const mean = list.reduce((a, b) => a + b, 0) / list.length;
      const variance = list.reduce((a, b) => a + (b - mean) ** 2, 0) / list.length;
      return [key, { n: list.length, mean, variance, min: Math.min(...list), max: Math.max(...list) }];
    }),
  );
}

const keyOf = ({ sensor, size, start }: WindowRow): string => {
  const index = SENSORS.findIndex(({ device, metric }) => device === sensor.device && metric === sensor.metric);
  return `${index} ${size} ${start}`;
};

const readings = fc.array(
  fc.record({
    sensor: fc.nat(2),
    at: fc.integer({ min: BASE - 7_200_000, max: BASE + 7_200_000 }),
    value: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  }),
  { minLength: 1, maxLength: 60 },
);
const split = fc.array(readings, { minLength: 1, maxLength: 5 });

describe('windows', () => {
  it('hold the sum of the hashes of their readings, whatever the order and however they are divided', () => {
    fc.assert(
      fc.property(split, (lists) => {
        for (const row of windowsOf(lists)) {
          const sum = noHashes();
          for (const each of lists.flat()) {
            const start = Math.floor(each.at / row.size) * row.size;
            if (keyOf(row) === `${each.sensor} ${row.size} ${start}`) addHash(sum, hashOfReading(each));
          }
          expect(row.hash).toBe(hashText(sum));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('do not know their hash where a rollup of an earlier release is in them', () => {
    const operator = new WindowOperator(windowConfig());
    const out = new Kept<WindowRow | LateRow>();
    const { columns, ...record } = rollups(1, [reading(0)]);
    const { hash: _, ...before } = columns;
    operator.merge(GATEWAY, SENSORS, { ...record, columns: before }, 1, out);
    operator.merge(GATEWAY, SENSORS, rollups(2, [reading(20_000), reading(120_000)]), 1, out);
    operator.advance(GATEWAY, FAR, out);
    const known = out.items.map((row) =>
      row.table === 'window' ? [row.size, row.start - BASE, row.hash !== undefined] : [],
    );
    expect(known).toEqual([
      [MINUTE, 0, false],
      [MINUTE, 2 * MINUTE, true],
      [15 * MINUTE, 0, false],
      [60 * MINUTE, 0, false],
    ]);
  });

  it('hold each reading exactly once per size, with the mean, variance and extremes of a plain computation', () => {
    fc.assert(
      fc.property(split, (lists) => {
        const sizes = windowConfig().sizes;
        const expected = oracle(lists.flat(), sizes);
        const rows = windowsOf(lists);
        expect(rows.map(keyOf).sort()).toEqual([...expected.keys()].sort());
        for (const row of rows) {
          const { n, mean, variance, min, max } = expected.get(keyOf(row))!;
          expect(row).toMatchObject({ revision: 0, incomplete: false, aggregate: { n, min, max } });
          const scale = Math.max(Math.abs(min), Math.abs(max), 1e-100);
          expect(Math.abs(meanOf(row.aggregate) - mean)).toBeLessThanOrEqual(1e-9 * scale);
          expect(Math.abs(varianceOf(row.aggregate) - variance)).toBeLessThanOrEqual(1e-9 * scale ** 2);
        }
        for (const size of sizes) {
          const n = rows.filter((row) => row.size === size).reduce((sum, row) => sum + row.aggregate.n, 0);
          expect(n).toBe(lists.flat().length);
        }
      }),
    );
  });

  it('merge exactly as the contract merges, bit by bit', () => {
    fc.assert(
      fc.property(split, (lists) => {
        const records = lists.map((list, index) => rollups(index + 1, list));
        const merged = new Map<string, Aggregate>();
        for (const record of records) {
          for (let i = 0; i < record.columns.n.length; i++) {
            const aggregate = rollupAggregate(record, i);
            const key = `${record.columns.sensor[i]} 3600000 ${Math.floor(aggregate.lastAt / 3_600_000) * 3_600_000}`;
            const known = merged.get(key);
            if (known === undefined) merged.set(key, aggregate);
            else mergeAggregate(known, aggregate);
          }
        }
        const rows = windowsOf(lists, new WindowOperator(windowConfig({ sizes: [seconds(3_600)] })));
        expect(Object.fromEntries(rows.map((row) => [keyOf(row), row.aggregate]))).toEqual(Object.fromEntries(merged));
      }),
    );
  });

  it('do not depend on the order of readings within the lateness', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 3_600_000 }), { minLength: 2, maxLength: 40 }),
        fc.infiniteStream(fc.nat()),
        (times, order) => {
          const list = times.map((at) => reading(at, at % 97));
          const shuffled = list
            .map((item) => ({ item, rank: order.next().value ?? 0 }))
            .sort((a, b) => a.rank - b.rank)
            .map(({ item }) => item);
          const facts = (rows: readonly WindowRow[]): unknown =>
            rows
              .map((row) => ({
                key: keyOf(row),
                n: row.aggregate.n,
                mean: meanOf(row.aggregate).toFixed(6),
                variance: varianceOf(row.aggregate).toFixed(4),
                min: row.aggregate.min,
                max: row.aggregate.max,
                last: row.aggregate.last,
                lastAt: row.aggregate.lastAt,
              }))
              .sort((a, b) => (a.key < b.key ? -1 : 1));
          expect(facts(windowsOf(shuffled.map((item) => [item])))).toEqual(facts(windowsOf([list])));
        },
      ),
    );
  });

  it.each([
    [-1, -MINUTE],
    [0, 0],
    [1, 0],
    [MINUTE - 1, 0],
    [MINUTE, MINUTE],
    [MINUTE + 1, MINUTE],
  ])('a reading at %d ms lies in the minute that begins at %d', (at, start) => {
    const rows = windowsOf([[reading(at)]], new WindowOperator(windowConfig({ sizes: [seconds(60)] })));
    expect(rows.map((row) => row.start - BASE)).toEqual([start]);
  });

  it('carry the sensor, its newest unit, and the moving statistics that came with the newest reading', () => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)] }));
    const out = new Kept<WindowRow | LateRow>();
    const { unit: _unit, ...unitless } = SENSORS[0];
    operator.merge(GATEWAY, [unitless], rollups(1, [reading(20_000, 7)]), 1, out);
    const newer = rollups(2, [reading(30_000, 9)]);
    operator.merge(GATEWAY, [SENSORS[0]], newer, 1, out);
    operator.merge(GATEWAY, [SENSORS[0]], rollups(3, [reading(10_000, 5)]), 1, out);
    operator.advance(GATEWAY, FAR, out);
    const expected = { ...GATEWAY, device: 'press-01', metric: 'temperature' };
    expect(out.items).toMatchObject([
      { table: 'window', sensor: expected, unit: '°C', aggregate: { n: 3, last: 9 }, moving: rollupMoving(newer, 0) },
    ]);
  });

  it('values whose squares overflow give rows of finite numbers', () => {
    const rows = windowsOf([[reading(0, 1.5e308)], [reading(1, -1.5e308)]]);
    for (const { aggregate } of rows) {
      for (const value of Object.values(aggregate)) expect(Number.isFinite(value)).toBe(true);
    }
  });
});

describe('sealing', () => {
  const one = (): { operator: WindowOperator; out: Kept<WindowRow | LateRow> } => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)] }));
    const out = new Kept<WindowRow | LateRow>();
    operator.merge(GATEWAY, SENSORS, rollups(1, [reading(0)]), 1, out);
    return { operator, out };
  };

  it.each([
    [MINUTE + LATENESS - 1, 0],
    [MINUTE + LATENESS, 1],
    [MINUTE + LATENESS + 1, 1],
  ])('with a watermark of %d ms the first minute gives %d windows', (watermark, windows) => {
    const { operator, out } = one();
    operator.advance(GATEWAY, epochMs(BASE + watermark), out);
    expect(out.items).toHaveLength(windows);
    expect(operator.openWindows).toBe(1 - windows);
  });

  it('takes the state with it, and happens once', () => {
    const { operator, out } = one();
    for (const more of [0, 1, 2]) operator.advance(GATEWAY, shift(FAR, more), out);
    expect(out.items).toHaveLength(1);
    expect(operator.openWindows).toBe(0);
    expect(operator.snapshot().gateways[0]?.panes).toEqual([]);
  });

  it('a watermark that steps back changes nothing', () => {
    const { operator, out } = one();
    operator.advance(GATEWAY, epochMs(BASE + 2 * MINUTE), out);
    operator.advance(GATEWAY, epochMs(BASE), out);
    operator.merge(GATEWAY, SENSORS, rollups(2, [reading(1)]), 1, out);
    expect(out.items.map((row) => row.table)).toEqual(['window', 'late']);
    expect(operator.watermarks()).toEqual([{ ...GATEWAY, watermark: BASE + 2 * MINUTE }]);
  });

  it('follows the watermark of its own gateway alone', () => {
    const { operator, out } = one();
    const other = { site: 'plant-1', gateway: 'gw-2' };
    operator.merge(other, SENSORS, rollups(1, [reading(0, 5)]), 1, out);
    operator.advance(other, FAR, out);
    expect(out.items).toMatchObject([{ sensor: other }]);
    operator.merge(GATEWAY, SENSORS, rollups(2, [reading(1)]), 1, out);
    operator.advance(GATEWAY, FAR, out);
    expect(out.items).toHaveLength(2);
    expect(out.items[1]).toMatchObject({ table: 'window', sensor: GATEWAY, aggregate: { n: 2 } });
  });

  it('emits size by size, oldest first', () => {
    const rows = windowsOf([[reading(MINUTE), reading(0)]]);
    expect(rows.map((row) => [row.size, row.start - BASE])).toEqual([
      [60_000, 0],
      [60_000, MINUTE],
      [900_000, 0],
      [3_600_000, 0],
    ]);
  });
});

describe('late readings', () => {
  it('are counted per window and gateway, and change no window', () => {
    const operator = new WindowOperator(windowConfig());
    const out = new Kept<WindowRow | LateRow>();
    operator.merge(GATEWAY, SENSORS, rollups(1, [reading(0)]), 1, out);
    operator.advance(GATEWAY, epochMs(BASE + MINUTE + LATENESS), out);
    operator.merge(GATEWAY, SENSORS, rollups(2, [reading(1), reading(2)]), 1, out);
    operator.merge(GATEWAY, SENSORS, rollups(3, [reading(3), reading(59_999, 1, 1)]), 1, out);
    operator.advance(GATEWAY, FAR, out);
    const late = out.items.filter((row) => row.table === 'late');
    expect(late.map((row) => [sensorId(row.sensor), row.size, row.start - BASE, row.readings])).toEqual([
      ['plant-1/gw-1/press-01/temperature', 60_000, 0, 2],
      ['plant-1/gw-1/press-01/temperature', 60_000, 0, 3],
      ['plant-1/gw-1/press-01/pressure', 60_000, 0, 1],
    ]);
    // The longer windows were still open and have everything.
    const windows = out.items.filter((row) => row.table === 'window' && row.sensor.metric === 'temperature');
    expect(windows).toMatchObject([{ aggregate: { n: 1 } }, { aggregate: { n: 4 } }, { aggregate: { n: 4 } }]);
    expect([...operator.shared.lateReadings.values()]).toEqual([{ ...GATEWAY, size: 60_000, readings: 4 }]);
  });

  it('are counted on in a bounded number of windows', () => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)], lateWindowsMax: 2 }));
    const out = new Kept<WindowRow | LateRow>();
    operator.advance(GATEWAY, FAR, out);
    for (const minute of [0, 1, 2, 0]) operator.merge(GATEWAY, SENSORS, rollups(1, [reading(minute * MINUTE)]), 1, out);
    expect(operator.shared.late.forgotten).toBe(2);
    expect(operator.snapshot().late).toHaveLength(2);
  });
});

describe('incomplete windows', () => {
  const sealed = (
    lose: (operator: WindowOperator) => void,
    lists: readonly (readonly TestReading[])[],
  ): [number, boolean][] => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)] }));
    const out = new Kept<WindowRow | LateRow>();
    for (const [index, list] of lists.entries()) {
      if (index === 1) lose(operator);
      operator.merge(GATEWAY, SENSORS, rollups(index + 1, list), 1, out);
    }
    operator.advance(GATEWAY, FAR, out);
    return out.items
      .filter((row) => row.table === 'window')
      .map((row) => [(row.start - BASE) / MINUTE, row.incomplete]);
  };
  const minutes = (...list: number[]): TestReading[] => list.map((minute) => reading(minute * MINUTE));

  it.each([
    [MINUTE - 1, [0, 1]],
    [MINUTE, [1]],
    [MINUTE + 1, [1]],
  ])('are those that the lost stretch from %d ms touches, both ends included', (from, expected) => {
    const rows = sealed(
      (operator) => operator.lose(GATEWAY, [BASE + from, BASE + 2 * MINUTE - 1]),
      [minutes(0, 1), minutes(2)],
    );
    expect(rows.filter(([, incomplete]) => incomplete).map(([minute]) => minute)).toEqual(expected);
  });

  it('of lost readings at unknown times are all from the seal up to the next record', () => {
    const rows = sealed((operator) => operator.lose(GATEWAY, null), [minutes(0, 1), minutes(5), minutes(6)]);
    expect(rows).toEqual([
      [0, true],
      [1, true],
      [5, true],
      [6, false],
    ]);
  });

  it('that were sealed before the loss are to be marked, from the first that it touches to the seal', () => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)] }));
    operator.advance(GATEWAY, epochMs(BASE + 10 * MINUTE + seconds(30)), new Kept<WindowRow>());
    const lose = (from: number, to: number): void => operator.lose(GATEWAY, [BASE + from, BASE + to]);
    lose(10 * MINUTE, 11 * MINUTE);
    expect(operator.losses()).toEqual([]);
    lose(10 * MINUTE - 1, 11 * MINUTE);
    const loss = { gateway: GATEWAY, range: [BASE + 10 * MINUTE - 1, BASE + 10 * MINUTE - 1], sizes: [MINUTE] };
    expect(operator.losses()).toEqual([loss]);
    const restored = new WindowOperator(windowConfig({ sizes: [seconds(60)] }), operator.snapshot());
    expect(restored.losses()).toEqual([loss]);
    restored.marked(restored.losses()[0]!);
    expect(restored.losses()).toEqual([]);
  });

  it.each([
    [days(1), true],
    [days(1) + 1, false],
  ])('that were sealed before a loss of %d ms are to be marked: %s', (length, isMarked) => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)] }));
    operator.advance(GATEWAY, FAR, new Kept<WindowRow>());
    operator.lose(GATEWAY, [BASE, BASE + length - 1]);
    expect(operator.losses()).toHaveLength(isMarked ? 1 : 0);
    expect(operator.shared.lossesTooLong).toBe(isMarked ? 0 : 1);
  });

  it.each([
    [days(8), true],
    [days(8) + 1, false],
  ])('are those too that late readings begin where readings were lost %d ms behind the seal: %s', (age, isMarked) => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)] }));
    operator.lose(GATEWAY, [BASE, BASE]);
    operator.advance(GATEWAY, epochMs(BASE + age + seconds(30)), new Kept<WindowRow>());
    operator.merge(GATEWAY, SENSORS, rollups(1, minutes(0)), 1, new Kept<LateRow>());
    expect(operator.lateWindows.snapshot()).toMatchObject([{ incomplete: isMarked }]);
  });

  it('are never those of another gateway', () => {
    const rows = sealed(
      (operator) => operator.lose({ site: 'plant-1', gateway: 'gw-2' }, null),
      [minutes(0), minutes(1)],
    );
    expect(rows).toEqual([
      [0, false],
      [1, false],
    ]);
  });
});

describe('the unit of a window', () => {
  it('is the newest, also where gateways send the same lists again and again', () => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)] }));
    const out = new Kept<WindowRow | LateRow>();
    const list = (unit: string): readonly RollupSensor[] =>
      Object.freeze([Object.freeze({ device: 'press', metric: 'temperature', unit })]);
    const [celsius, fahrenheit] = [list('°C'), list('°F')];
    for (const [minute, sensors] of [celsius, celsius, fahrenheit, fahrenheit, celsius].entries()) {
      operator.merge(GATEWAY, sensors, rollups(minute + 1, [reading(minute * MINUTE)]), 1, out);
      operator.advance(GATEWAY, epochMs(BASE + (minute + 2) * MINUTE), out);
    }
    expect(out.items.map((row) => row.table === 'window' && row.unit)).toEqual(['°C', '°C', '°F', '°F', '°C']);
  });
});

describe('limits', () => {
  it('sensors that come again in a list that was seen get a slot again after theirs was given to others', () => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)], sensorsPerGatewayMax: 1 }));
    const out = new Kept<WindowRow | LateRow>();
    const lists = ['a', 'b'].map((device) => Object.freeze([Object.freeze({ device, metric: 'm' })]));
    for (const [minute, which] of [0, 1, 0, 1].entries()) {
      operator.merge(GATEWAY, lists[which]!, rollups(minute + 1, [reading(minute * MINUTE)]), 1, out);
      operator.advance(GATEWAY, epochMs(BASE + (minute + 2) * MINUTE), out);
    }
    const devices = out.items.map(({ sensor }) => sensor.device);
    expect(devices).toEqual(['a', 'b', 'a', 'b']);
  });

  it('readings beyond the sensors and the gateways are refused and counted', () => {
    const operator = new WindowOperator(
      windowConfig({ sizes: [seconds(60)], sensorsPerGatewayMax: 2, gatewaysMax: 1 }),
    );
    const out = new Kept<WindowRow | LateRow>();
    operator.merge(GATEWAY, SENSORS, rollups(1, [reading(0), reading(0, 1, 1), reading(0, 1, 2)]), 1, out);
    operator.merge(GATEWAY, SENSORS.slice(0, 2), rollups(2, [reading(MINUTE), reading(1)]), 1, out);
    operator.merge({ site: 'plant-1', gateway: 'gw-2' }, SENSORS, rollups(1, [reading(0)]), 1, out);
    expect(Object.fromEntries(operator.shared.refusedReadings)).toEqual({
      'too-many-sensors': 1,
      'too-many-gateways': 1,
    });
    operator.advance(GATEWAY, FAR, out);
    expect(out.items.map((row) => row.table === 'window' && row.aggregate.n)).toEqual([2, 1, 1]);
  });

  it('sensors that come and go give their place back', () => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)], sensorsPerGatewayMax: 3 }));
    const out = new Kept<WindowRow | LateRow>();
    for (let minute = 0; minute < 20; minute++) {
      const sensors = [SENSORS[0], { device: `batch-${minute}`, metric: 'weight' }];
      operator.merge(
        GATEWAY,
        sensors,
        rollups(1, [reading(minute * MINUTE, minute, 0), reading(minute * MINUTE, -minute, 1)]),
        1,
        out,
      );
      operator.advance(GATEWAY, epochMs(BASE + minute * MINUTE + LATENESS), out);
    }
    operator.advance(GATEWAY, FAR, out);
    expect([...operator.shared.refusedReadings]).toEqual([]);
    const rows = out.items.filter((row) => row.table === 'window');
    expect(rows).toHaveLength(40);
    for (const { sensor, start, aggregate } of rows) {
      const minute = (start - BASE) / MINUTE;
      expect(sensor.device).toBe(aggregate.last < 0 || Object.is(aggregate.last, -0) ? `batch-${minute}` : 'press-01');
    }
  });

  it('records whose buckets do not fit into the windows are refused', () => {
    const operator = new WindowOperator(windowConfig());
    const out = new Kept<WindowRow | LateRow>();
    operator.merge(GATEWAY, SENSORS, { ...rollups(1, [reading(0), reading(1)]), bucketMs: seconds(7) }, 1, out);
    expect([...operator.shared.refusedReadings]).toEqual([['bucket', 2]]);
    expect(operator.openWindows).toBe(0);
  });
});

describe('saved state', () => {
  it('goes on at any point as if nothing had happened, bit by bit', () => {
    const step = fc.oneof(
      readings.map((list) => ({ kind: 'merge' as const, list })),
      fc.integer({ min: -7_200_000, max: 7_200_000 }).map((at) => ({ kind: 'advance' as const, at })),
      fc.constant({ kind: 'lose' as const }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.nat(12), (steps, cut) => {
        const run = (restoreAt: number): unknown => {
          const out = new Kept<WindowRow | LateRow>();
          let operator = new WindowOperator(windowConfig());
          for (const [index, one] of steps.entries()) {
            if (index === restoreAt) operator = new WindowOperator(windowConfig(), operator.snapshot());
            if (one.kind === 'merge') operator.merge(GATEWAY, SENSORS, rollups(index + 1, one.list), 1, out);
            else if (one.kind === 'advance') operator.advance(GATEWAY, epochMs(BASE + one.at), out);
            else operator.lose(GATEWAY, null);
          }
          operator.advance(GATEWAY, FAR, out);
          return out.items;
        };
        expect(run(cut)).toEqual(run(-1));
      }),
    );
  });

  it('with another set of sizes marks the windows that lack readings', () => {
    const before = new WindowOperator(windowConfig({ sizes: [seconds(60), seconds(3_600)] }));
    const out = new Kept<WindowRow | LateRow>();
    before.merge(GATEWAY, SENSORS, rollups(1, [reading(61_000)]), 1, out);
    const after = new WindowOperator(windowConfig({ sizes: [seconds(60), seconds(120)] }), before.snapshot());
    after.merge(GATEWAY, SENSORS, rollups(2, [reading(62_000), reading(125_000)]), 1, out);
    after.advance(GATEWAY, FAR, out);
    const rows = out.items.filter((row) => row.table === 'window');
    expect(rows.map((row) => [row.size / 1_000, (row.start - BASE) / 1_000, row.aggregate.n, row.incomplete])).toEqual([
      [60, 60, 2, false],
      [60, 120, 1, false],
      [120, 0, 1, true],
      [120, 120, 1, false],
      [3_600, 0, 1, true],
    ]);
  });

  it('with a longer lateness opens no window again', () => {
    const before = new WindowOperator(windowConfig({ sizes: [seconds(60)] }));
    const out = new Kept<WindowRow | LateRow>();
    before.merge(GATEWAY, SENSORS, rollups(1, [reading(0)]), 1, out);
    before.advance(GATEWAY, epochMs(BASE + 2 * MINUTE), out);
    const after = new WindowOperator(
      windowConfig({ sizes: [seconds(60)], allowedLateness: seconds(3_600) }),
      before.snapshot(),
    );
    after.merge(GATEWAY, SENSORS, rollups(2, [reading(1)]), 1, out);
    after.advance(GATEWAY, FAR, out);
    expect(out.items.map((row) => row.table)).toEqual(['window', 'late']);
  });

  it('open windows can be read, and are given out once per change', () => {
    const operator = new WindowOperator(windowConfig({ sizes: [seconds(60)] }));
    const out = new Kept<WindowRow | LateRow>();
    operator.merge(GATEWAY, SENSORS, rollups(1, [reading(MINUTE, 4), reading(0, 3), reading(0, 8, 1)]), 1, out);
    const sensor = { ...GATEWAY, device: 'press-01', metric: 'temperature' };
    expect(operator.open(sensor, seconds(60))).toMatchObject([
      { table: 'window_live', sensor, start: BASE, aggregate: aggregateOf(3, BASE, false, false) },
      { start: BASE + MINUTE, aggregate: { n: 1, last: 4 } },
    ]);
    expect(operator.open({ ...sensor, device: 'other' }, seconds(60))).toEqual([]);
    expect(operator.takeChanged(2)).toHaveLength(2);
    expect(operator.takeChanged(2)).toHaveLength(1);
    expect(operator.takeChanged(2)).toHaveLength(0);
    operator.merge(GATEWAY, SENSORS, rollups(2, [reading(1, 3)]), 1, out);
    expect(operator.takeChanged(2)).toMatchObject([{ start: BASE, aggregate: { n: 2 } }]);
  });
});
