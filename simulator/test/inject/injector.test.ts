import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { durationMs, epochMs, seconds, shift } from '@floorwatch/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createFloor } from '../../src/generate/floor.ts';
import { FloorGenerator } from '../../src/generate/floor-generator.ts';
import { type Fault, FAULT_TYPE_NAMES, type PlannedFault } from '../../src/inject/fault.ts';
import { readFaultFile } from '../../src/inject/fault-file.ts';
import { Injector } from '../../src/inject/injector.ts';
import { hasOtherUnit, inOtherUnit } from '../../src/inject/other-unit.ts';
import { demoSchedule } from '../../src/inject/schedule.ts';
import { truthOf } from '../../src/inject/truth.ts';
import { floorBatches } from '../../src/run-floor.ts';
import { type FloorSensor, measure, type SourceReading } from '../../src/sensor.ts';
import { zOf } from '../support/moving-z.ts';

const START = epochMs(Date.UTC(2026, 2, 2, 9));

interface Run {
  readonly faults: Fault[];
  readonly readings: SourceReading<FloorSensor>[];
}

/** A floor with faults, run for `ms` of its time. */
function run(sensors: FloorSensor[], seed: number, schedule: Iterable<PlannedFault>, ms: number): Run {
  const faults: Fault[] = [];
  const injector = new Injector(schedule, START, (fault) => faults.push(fault));
  const batches = floorBatches(new FloorGenerator(sensors, seed, START), injector, shift(START, ms));
  return { faults, readings: [...batches].flat() };
}

const sensorCalled = (sensors: readonly FloorSensor[], device: string, metric: string): FloorSensor => {
  const sensor = sensors.find((known) => known.device === device && known.metric === metric);
  if (sensor === undefined) throw new Error(`no ${device}/${metric}`);
  return sensor;
};

describe('injected faults', () => {
  test('truth and values agree: exactly the readings with from ≤ time < to are changed, by the magnitude', () => {
    const sensors = createFloor({ seed: 3, machines: 12 });
    const good = run(sensors, 3, [], 210_000).readings;
    const { faults, readings } = run(sensors, 3, demoSchedule(sensors, 3, START), 210_000);
    expect(faults.length).toBe(4);
    expect(readings.length).toBe(good.length);
    let changed = 0;
    for (const [i, { sensor, at, value }] of readings.entries()) {
      const undisturbed = good[i];
      if (undisturbed === undefined) throw new Error('fewer readings without faults');
      expect([sensor, at]).toEqual([undisturbed.sensor, undisturbed.at]);
      const fault = faults.find((f) => f.sensor === sensor && f.from <= at && at < f.to);
      const expected = fault === undefined ? undisturbed.value : measure(sensor, undisturbed.value + fault.magnitude);
      expect(value).toBe(expected);
      if (fault !== undefined) changed += 1;
    }
    expect(changed).toBeGreaterThan(7);
  });

  test.each([
    ['spike', 5, [15, 16, 17, 18]],
    ['shift', -5, [5, 6, 7, 8]],
    ['drift', 8, [10, 13, 16, 19]],
    ['stuck', 0, [10, 10, 10, 10]],
    ['rail', 1, [100, 100, 100, 100]],
    ['rail', -1, [-20, -20, -20, -20]],
    ['gap', 0, []],
    ['swing', 30, [40, 11, 42, 13]],
  ] as const)('%s of %d: what becomes of 10, 11, 12, 13', (type, magnitude, expected) => {
    const [known] = createFloor({ seed: 1, machines: 1 });
    const sensor = { ...known!, low: -20, high: 100, resolution: 0.5 };
    const fault: PlannedFault = { sensor, type, after: seconds(0), lasts: seconds(4), magnitude };
    const truth: Fault[] = [];
    const injector = new Injector([fault], START, (one) => truth.push(one));
    const sent = [10, 11, 12, 13, 14].flatMap((value, i) =>
      injector.inject([{ sensor, at: shift(START, i * 1_000), value }]).map((reading) => reading.value),
    );
    expect(sent).toEqual([...expected, 14]);
    expect(truth).toHaveLength(1);
  });

  test('a unit fault shows the value in the other unit and names it, behind all other faults', () => {
    const [known] = createFloor({ seed: 1, machines: 1 });
    const sensor = { ...known!, unit: '°C', low: -20, high: 100, resolution: 0.5 };
    const fault = (type: 'unit' | 'shift'): PlannedFault => ({
      sensor,
      type,
      after: seconds(0),
      lasts: seconds(2),
      magnitude: 5,
    });
    const injector = new Injector([fault('unit'), fault('shift')], START, () => undefined);
    const sent = [20, 21.5, 22].flatMap((value, i) =>
      injector.inject([{ sensor, at: shift(START, i * 1_000), value }]).map((one) => [one.value, one.unit]),
    );
    // 25 °C and 26.5 °C; then the faults are over.
    expect(sent).toEqual([
      [77, '°F'],
      [79.7, '°F'],
      [22, undefined],
    ]);
  });

  test.each([
    ['bar', 6.6, 660, 'kPa'],
    ['L/min', 50, 3, 'm³/h'],
    ['mm/s', 2.54, 0.1, 'in/s'],
    ['A', 31.2, 31_200, 'mA'],
    ['%', 7, 7, '%'],
  ])('%s %d becomes %d %s', (unit, value, expected, otherUnit) => {
    expect(inOtherUnit(unit, value)).toEqual({ value: expected, unit: otherUnit });
    expect(hasOtherUnit(unit)).toBe(unit !== otherUnit);
  });

  test('a seasonal slip shows what its day had been hours before, and nothing else changes', () => {
    const sensors = createFloor({ seed: 1, machines: 8 });
    const sensor = sensorCalled(sensors, 'hall-01', 'temperature');
    const fault: PlannedFault = { sensor, type: 'season', after: seconds(10), lasts: seconds(60), magnitude: 6 };
    const good = run(sensors, 1, [], 90_000).readings.filter((reading) => reading.sensor === sensor);
    const slipped = run(sensors, 1, [fault], 90_000).readings.filter((reading) => reading.sensor === sensor);
    // The warmest hour is 15: at 9 it is cos 90° = 0 of 3 °C, and six hours before cos 180° = −1.
    for (const [i, { at, value }] of slipped.entries()) {
      const expected = at >= START + 10_000 && at < START + 70_000 ? -3 : 0;
      expect(Math.abs(value - good[i]!.value - expected)).toBeLessThan(0.051);
    }
  });

  test('the demonstration shows every type of fault within 20 minutes, at any time of day', () => {
    const sensors = createFloor({ seed: 2, machines: 12 });
    for (let hour = 0; hour < 24; hour += 1) {
      const start = shift(START, hour * 3_600_000);
      const faults: PlannedFault[] = [];
      for (const fault of demoSchedule(sensors, 2, start)) {
        if (fault.after > 20 * 60_000) break;
        faults.push(fault);
      }
      expect(new Set(faults.map(({ type }) => type)), `at ${hour} h`).toEqual(new Set(FAULT_TYPE_NAMES));
    }
  });

  test('a floor whose sensors can have no such fault gets a level shift in its place', () => {
    const sensors = createFloor({ seed: 1, machines: 3 }).filter(({ metric }) => metric === 'humidity');
    const types = new Set<string>();
    for (const { type, after } of demoSchedule(sensors, 1, START)) {
      if (after > 60 * 60_000) break;
      types.add(type);
    }
    expect(types).toEqual(new Set(FAULT_TYPE_NAMES.filter((type) => type !== 'season' && type !== 'unit')));
  });

  test('noise scatters by its magnitude around what there was, and is the same for the same fault', () => {
    const [known] = createFloor({ seed: 1, machines: 1 });
    const sensor = { ...known!, low: -1e6, high: 1e6, resolution: 0.001 };
    const fault: PlannedFault = { sensor, type: 'noise', after: seconds(0), lasts: seconds(5_000), magnitude: 7 };
    const values = (): number[] => {
      const injector = new Injector([fault], START, () => undefined);
      return Array.from(
        { length: 5_000 },
        (_, i) => injector.inject([{ sensor, at: shift(START, i * 1_000), value: 50 }])[0]!.value,
      );
    };
    const first = values();
    const mean = first.reduce((sum, x) => sum + x, 0) / first.length;
    const sd = Math.sqrt(first.reduce((sum, x) => sum + (x - mean) ** 2, 0) / first.length);
    expect(mean).toBeGreaterThan(49.5);
    expect(mean).toBeLessThan(50.5);
    expect(sd).toBeGreaterThan(6.7);
    expect(sd).toBeLessThan(7.3);
    expect(values()).toEqual(first);
  });

  test('the first and the last reading of a fault are on its borders: just before, exactly, just after', () => {
    const [sensor] = createFloor({ seed: 1, machines: 1 });
    if (sensor === undefined) throw new Error('an empty floor');
    const fault: PlannedFault = { sensor, type: 'shift', after: seconds(10), lasts: seconds(5), magnitude: 3 };
    const injector = new Injector([fault], START, () => undefined);
    const changedAt = [9_999, 10_000, 14_999, 15_000].map((offset) => {
      const [reading] = injector.inject([{ sensor, at: shift(START, offset), value: 1 }]);
      return reading?.value;
    });
    expect(changedAt).toEqual([1, 4, 4, 1]);
  });

  test('a fault is announced once, before its first changed reading, and not if it meets no reading', () => {
    const [sensor] = createFloor({ seed: 1, machines: 1 });
    if (sensor === undefined) throw new Error('an empty floor');
    const fault = (after: number): PlannedFault => ({
      sensor,
      type: 'spike',
      after: durationMs(after),
      lasts: durationMs(10),
      magnitude: 1,
    });
    const announced: number[] = [];
    const injector = new Injector([fault(100), fault(200), fault(300)], START, ({ after }) => announced.push(after));
    const at = (offset: number): SourceReading<FloorSensor> => ({ sensor, at: shift(START, offset), value: 1 });
    injector.inject([at(100), at(105), at(109)]);
    injector.inject([at(250)]);
    injector.inject([at(305)]);
    expect(announced).toEqual([100, 300]);
  });

  test('two faults of one sensor at once add up', () => {
    const [sensor] = createFloor({ seed: 1, machines: 1 });
    if (sensor === undefined) throw new Error('an empty floor');
    const fault = (type: 'spike' | 'shift'): PlannedFault => ({
      sensor,
      type,
      after: durationMs(0),
      lasts: durationMs(10),
      magnitude: 2,
    });
    const injector = new Injector([fault('spike'), fault('shift')], START, () => undefined);
    expect(injector.inject([{ sensor, at: START, value: 1 }])[0]?.value).toBe(5);
  });

  test.each([1, 2, 3, 4, 5])(
    'the demonstration begins within 45 s, goes on every minute, and nobody can miss it (seed %i)',
    (seed) => {
      const sensors = createFloor({ seed, machines: 12 });
      const { faults, readings } = run(sensors, seed, demoSchedule(sensors, seed, START), 15 * 60_000);
      const begins = faults.map(({ from }) => from - START);
      expect(begins.slice(0, 2).every((at) => at <= 45_000)).toBe(true);
      const pauses = begins.slice(2).map((at, i) => at - (begins[i + 1] ?? 0));
      expect(Math.min(...pauses)).toBe(60_000);
      expect(faults.slice(2).every(({ from }, i) => from >= (faults[i + 1]?.to ?? Infinity) + 20_000)).toBe(true);
      expect(faults.map(({ type }) => type).slice(0, 4)).toEqual(['spike', 'shift', 'spike', 'shift']);
      for (const fault of faults.filter(({ type }) => type === 'spike' || type === 'shift')) {
        const own = readings.filter(({ sensor }) => sensor === fault.sensor);
        const first = own.findIndex(({ at }) => at >= fault.from);
        const before = own.slice(Math.max(0, first - 64), first).map(({ value }) => value);
        expect(before.length).toBeGreaterThanOrEqual(45);
        expect(
          Math.abs(zOf(own[first]?.value ?? 0, before)),
          `${fault.type} on ${fault.sensor.device}/${fault.sensor.metric}`,
        ).toBeGreaterThan(8);
      }
    },
  );

  test('the truth is in published event times', () => {
    const sensors = createFloor({ seed: 1, machines: 1 });
    const sensor = sensorCalled(sensors, 'press-01', 'vibration');
    const { faults } = run(
      sensors,
      1,
      [{ sensor, type: 'shift', after: seconds(2), lasts: seconds(3), magnitude: -4 }],
      10_000,
    );
    const truth = faults.map((fault) => truthOf(fault, (at) => shift(at, 1_000)));
    expect(truth).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
        device: 'press-01',
        metric: 'vibration',
        unit: 'mm/s',
        type: 'shift',
        from: START + 3_000,
        to: START + 6_000,
        magnitude: -4,
      },
    ]);
  });
});

describe('a file of faults', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'floorwatch-faults-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const sensors = createFloor({ seed: 1, machines: 3 });
  const good = { type: 'shift', device: 'oven-01', metric: 'temperature', after: '30s', lasts: '1m', magnitude: -25 };

  async function read(...lines: readonly string[]): Promise<PlannedFault[]> {
    const file = join(folder, 'faults.ndjson');
    await writeFile(file, lines.join('\n'));
    return readFaultFile(file, sensors);
  }

  test('is read line by line, ordered by beginning, empty lines ignored', async () => {
    const faults = await read(JSON.stringify(good), '', JSON.stringify({ ...good, type: 'spike', after: '5s' }));
    expect(faults.map(({ type, after, lasts, magnitude }) => [type, after, lasts, magnitude])).toEqual([
      ['spike', 5_000, 60_000, -25],
      ['shift', 30_000, 60_000, -25],
    ]);
  });

  test('needs a magnitude only where it means something', async () => {
    const { magnitude: _, ...plain } = good;
    const [gap] = await read(JSON.stringify({ ...plain, type: 'gap' }));
    expect(gap).toMatchObject({ type: 'gap', lasts: 60_000 });
    await expect(read(JSON.stringify(plain))).rejects.toThrow(
      'line 1: magnitude: how large the fault is, in the unit of its sensor; it is not set',
    );
  });

  test.each([
    ['{"type":', /line 2: not JSON/],
    ['7', /line 2: the line: expected object; it is 7/],
    [JSON.stringify({ ...good, type: 'wobble' }), /line 2: type: expected one of .*"spike".*; it is "wobble"$/],
    [JSON.stringify({ ...good, after: 30 }), /line 2: after: expected string; it is 30; write it in quotes: "30"$/],
    [JSON.stringify({ ...good, after: '30' }), /line 2: after: must be a duration such as 30s or 1.5m; it is "30"$/],
    [JSON.stringify({ ...good, lasts: '0s' }), /line 2: lasts must be longer than 0/],
    [JSON.stringify({ ...good, size: 1 }), /line 2: size: unknown field/],
    [
      JSON.stringify({ ...good, type: 'season', metric: 'current' }),
      /line 2: oven-01\/current has no daily pattern; use another sensor for season/,
    ],
    [
      JSON.stringify({ ...good, type: 'unit', metric: 'humidity' }),
      /line 2: oven-01\/humidity is in %RH, for which there is no other unit/,
    ],
    [
      JSON.stringify({ ...good, device: 'oven-99' }),
      /line 2: the floor has no sensor oven-99\/temperature; it has press-01/,
    ],
  ])('%s is refused with its place and what is wrong', async (line, message) => {
    await expect(read(JSON.stringify(good), line)).rejects.toThrow(message);
  });

  test('that is missing is refused with what the option takes', async () => {
    await expect(readFaultFile(join(folder, 'absent'), sensors)).rejects.toThrow(
      /--faults: must be demo, none or a file/,
    );
  });
});
