import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { findRule, matchesName } from '../../src/score/sensor-pattern.ts';

describe('name pattern', () => {
  it.each([
    ['*', '', true],
    ['*', 'anything at all', true],
    ['press-*', 'press-3', true],
    ['press-*', 'press-', true],
    ['press-*', 'Press-3', false],
    ['press-*', 'a press-3', false],
    ['press-?', 'press-3', true],
    ['press-?', 'press-', false],
    ['press-?', 'press-33', false],
    ['*temp*', 'oil_temp_2', true],
    ['*a*b*c', 'xaybzc', true],
    ['*a*b*c', 'xaybzcd', false],
    ['T.1 (°C)', 'T.1 (°C)', true],
    ['T.1', 'Tx1', false],
    ['?', '🌡', true],
    ['[ab]', 'a', false],
  ])('%s on %s: %s', (pattern, name, matches) => {
    expect(matchesName(pattern, name)).toBe(matches);
  });

  it('agrees with a regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (glob, name) => {
        const expression = new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(matchesName(glob, name)).toBe(expression.test(name));
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes no time to speak of, however many stars stand in it', () => {
    // A backtracking matcher would need longer than the universe has been there.
    expect(matchesName(`${'*a'.repeat(60)}b`, 'a'.repeat(128))).toBe(false);
  });
});

describe('rules', () => {
  const rules = [
    { device: 'press-1', metric: '*', name: 'first' },
    { device: 'press-*', metric: 'temperature', name: 'second' },
    { device: '*', metric: 'temperature', name: 'third' },
  ];

  it.each([
    ['press-1', 'temperature', 'first'],
    ['press-1', 'current', 'first'],
    ['press-2', 'temperature', 'second'],
    ['oven', 'temperature', 'third'],
    ['oven', 'current', undefined],
  ])('the first rule that matches %s/%s is %s', (device, metric, name) => {
    expect(findRule(rules, { device, metric })?.name).toBe(name);
  });
});
