import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { UnitNames } from '../../src/ingest/unit-names.ts';

const names = new UnitNames();

describe('names of units', () => {
  it.each([
    ['°C', ['C', '℃', '°C ', 'degC', 'deg C', 'deg_c', 'Celsius', 'degrees celsius', 'ºC', 'Cel']],
    ['°F', ['F', '℉', 'DEGF', '[degF]', 'fahrenheit']],
    ['%RH', ['%rH', '% RH', 'rH', 'Percent RH']],
    ['mm/s', ['mm/sec', 'mm·s⁻¹']],
    ['L/min', ['l/min', 'lpm']],
    ['m³/h', ['m3/h', 'm^3/h']],
    ['m/s²', ['m/s2', 'm/s^2']],
    ['µm', ['um', 'μm', 'micron']],
    ['r/min', ['rpm', 'RPM', '1/min', 'min⁻¹', 'U/min']],
    ['kWh', ['kW·h', 'kilowatt hours']],
  ])('%s is also written %j', (unit, spellings) => {
    for (const spelling of [unit, ...spellings]) expect(names.nameOf(spelling), spelling).toBe(unit);
  });

  it.each([
    ['mPa', 'MPa'],
    ['mW', 'MW'],
    ['K', '°C'],
    ['bar', 'mbar'],
    ['A', 'mA'],
    ['s', 'S'],
    ['m', 'min'],
  ])('%s and %s are two units', (one, other) => {
    expect(names.nameOf(one)).not.toBe(names.nameOf(other));
  });

  it('that are not known stand for themselves', () => {
    expect(names.nameOf('furlong')).toBe('furlong');
    expect(names.nameOf(' cm² ')).toBe('cm²');
    expect(names.nameOf('__proto__')).toBe('__proto__');
  });

  it('can be added, and go before those that are known', () => {
    const own = new UnitNames([
      { unit: 'celsius', names: ['Grad', 'F'] },
      { unit: 'Hub', names: ['stroke'] },
    ]);
    expect(['Grad', 'F', 'C', 'stroke', 'Hub'].map((unit) => own.nameOf(unit))).toEqual([
      '°C',
      '°C',
      '°C',
      'Hub',
      'Hub',
    ]);
  });

  it('are names of themselves, whatever a device sends', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 32 }), (unit) => {
        const name = names.nameOf(unit);
        expect(names.nameOf(name)).toBe(name);
      }),
    );
  });
});
