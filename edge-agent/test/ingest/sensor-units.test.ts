import { epochMs, isName, type Reading } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { apartMetric } from '../../src/ingest/apart-metric.ts';
import { SensorUnits } from '../../src/ingest/sensor-units.ts';

const reading = (unit?: string, metric = 'temperature'): Reading => ({
  device: 'press-3',
  metric,
  eventTime: epochMs(0),
  value: 1,
  quality: 'good',
  ...(unit !== undefined && { unit }),
});

/** Metric, unit and origin of readings in these units, one after the other. */
const sorted = (units: SensorUnits, ...given: (string | undefined)[]): unknown[] =>
  given.map((unit) => {
    const { metric, unit: kept, apartFrom } = units.sort(0, reading(unit));
    return apartFrom === undefined ? [metric, kept] : [metric, kept, apartFrom];
  });

const APART = ['temperature (°F)', '°F', 'temperature'];

describe('the unit of a sensor', () => {
  it('is the first that it names; readings in another one are kept apart, and those without one are in it', () => {
    expect(sorted(new SensorUnits([]), undefined, '°C', '°C', '°F', undefined, '°C')).toEqual([
      ['temperature', undefined],
      ['temperature', '°C'],
      ['temperature', '°C'],
      APART,
      ['temperature', '°C'],
      ['temperature', '°C'],
    ]);
  });

  it('is what the first rule says that matches it', () => {
    const rules = [
      { device: 'oven-*', metric: '*', unit: '°F' },
      { device: '*', metric: 'temp*', unit: '°C' },
    ];
    expect(sorted(new SensorUnits(rules), undefined, '°F', '°C')).toEqual([
      ['temperature', '°C'],
      APART,
      ['temperature', '°C'],
    ]);
    expect(new SensorUnits(rules).sort(0, reading(undefined, 'pressure'))).toEqual(reading(undefined, 'pressure'));
  });

  it('is known after a restart from the snapshot and from the journal, and a rule goes before both', () => {
    const before = new SensorUnits([]);
    before.sort(1, reading('°C'));
    const section = structuredClone(before.snapshot(3));
    const after = new SensorUnits([]);
    after.restore([{ name: 'other', version: 9, values: {}, arrays: {} }, section]);
    expect(after.sort(1, reading('°F')).apartFrom).toBe('temperature');
    expect(after.sort(2, reading('°F')).apartFrom).toBeUndefined();

    const replayed = new SensorUnits([]);
    replayed.learn(0, before.sort(1, reading('°C')));
    replayed.learn(0, before.sort(1, reading('°F')));
    expect(sorted(replayed, '°F')).toEqual([APART]);

    const ruled = new SensorUnits([{ device: '*', metric: '*', unit: '°F' }]);
    ruled.restore([section]);
    expect(ruled.sort(1, reading('°F')).apartFrom).toBeUndefined();
    expect(() => after.restore([{ ...section, version: 2 }])).toThrow('version 2');
    expect(() => after.restore([{ ...section, values: {} }])).toThrow('no list of units');
  });
});

describe('the name under which readings in another unit are kept', () => {
  it.each([
    ['flow', 'm³/h', 'flow (m³∕h)'],
    ['count', '#', 'count (_)'],
    ['a', 'b+c', 'a (b_c)'],
  ])('%s in %s is %s', (metric, unit, name) => {
    expect(apartMetric(metric, unit)).toBe(name);
  });

  it('is a name whatever the metric and the unit, and another one for others', () => {
    const metric = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 128 }).filter(isName);
    const unit = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 32 }).filter((text) => text.length <= 32);
    fc.assert(
      fc.property(metric, unit, (one, other) => {
        expect(isName(apartMetric(one, other))).toBe(true);
      }),
    );
    const long = 'x'.repeat(127);
    expect(apartMetric(`${long}a`, '°F')).not.toBe(apartMetric(`${long}b`, '°F'));
    expect(apartMetric(`${'x'.repeat(109)}😀😀😀😀😀😀😀😀😀`, '°F')).toSatisfy(isName);
  });
});
