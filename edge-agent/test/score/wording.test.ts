import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { bandInWords } from '../../src/score/wording.ts';

const sensor = { device: 'press-3', metric: 'temperature', unit: '°C' };

describe('a band in words', () => {
  it.each([
    [53.8, 49.2535, 50.0878, '49.25 to 50.09 °C', '53.8 °C'],
    [323.31, -49.2, 302.2, '-49 to 302 °C', '323 °C'],
    [7.58, 4.572, 4.9305, '4.57 to 4.93 °C', '7.58 °C'],
    [2e9, 1e9, 1.5e9, '1000000000 to 1500000000 °C', '2000000000 °C'],
    [1.5, 1, 1, '1 to 1 °C', '1.5 °C'],
  ])('%d beside %d to %d', (value, low, high, band, shown) => {
    const words = bandInWords(sensor, value, low, high);
    expect([words.band, words.shown(value)]).toEqual([band, shown]);
  });

  it.each([
    [302.23, -49.2, 302.2],
    [0.99, 1, 1.2],
    [4.9301, 4.572, 4.93],
  ])('%d outside of %d to %d is never shown inside', (value, low, high) => {
    const { band, shown } = bandInWords({ device: 'd', metric: 'm' }, value, low, high);
    const [from, to] = band.split(' to ').map(Number);
    const seen = Number(shown(value));
    expect(seen < from! || seen > to!, `${seen} beside ${band}`).toBe(true);
  });

  it('makes something of any numbers', () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(number, number, number, (value, one, other) => {
        const { band, shown } = bandInWords(sensor, value, Math.min(one, other), Math.max(one, other));
        expect(`${band} ${shown(value)}`).toMatch(/^\S+ to \S+ °C \S+ °C$/);
      }),
    );
  });
});
