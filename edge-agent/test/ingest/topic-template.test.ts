import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { findWrongTemplate, overlapsOf, TopicTemplate, withoutCovered } from '../../src/ingest/topic-template.ts';

describe('a topic template', () => {
  const sensors = new TopicTemplate('sensors/{device}/{metric}');
  const plant = new TopicTemplate('+/plant 1/{metric}/of/{device}');

  it('finds device and metric wherever they stand', () => {
    expect(sensors.match('sensors/press 4/température')).toEqual({ device: 'press 4', metric: 'température' });
    expect(plant.match('acme/plant 1/rpm/of/motor')).toEqual({ device: 'motor', metric: 'rpm' });
    expect(plant.match('/plant 1/rpm/of/motor')).toEqual({ device: 'motor', metric: 'rpm' });
  });

  it('subscribes to everything that it can match', () => {
    expect(sensors.filter).toBe('sensors/+/+');
    expect(plant.filter).toBe('+/plant 1/+/of/+');
  });

  it.each(['', '/', 'sensors', 'sensors/a', 'sensors/a/b/c', 'sensors/a/b/', '/sensors/a/b', 'Sensors/a/b'])(
    'does not match %j',
    (topic) => {
      expect(sensors.match(topic)).toBe('topic-unknown');
    },
  );

  it.each(['sensors//b', 'sensors/a/', 'sensors/ a/b', 'sensors/a/b\n', `sensors/${'d'.repeat(129)}/b`])(
    'finds no name in %j',
    (topic) => {
      expect(sensors.match(topic)).toBe('name-invalid');
    },
  );

  it('takes a name of the longest length', () => {
    expect(sensors.match(`sensors/${'d'.repeat(128)}/m`)).toEqual({ device: 'd'.repeat(128), metric: 'm' });
  });

  it('need not name the metric where the payload does', () => {
    const all = new TopicTemplate('all/{device}/state');
    expect(all.match('all/press/state')).toEqual({ device: 'press', metric: '' });
    expect(all.match('all//state')).toBe('name-invalid');
    expect(findWrongTemplate('all/{device}', 'allowed')).toBeUndefined();
    expect(findWrongTemplate('all/{device}/{metric}', 'forbidden')).toMatch('must not hold {metric}');
    expect(findWrongTemplate('all/{device}', 'forbidden')).toBeUndefined();
    expect(findWrongTemplate('all/{device}')).toMatch('must hold {metric} once');
  });

  it.each([
    ['sensors/{metric}/{device}/{metric}', 'must hold {metric} once'],
    ['sensors/{device}/{device}/{metric}', 'must hold {device} once'],
    ['sensors/x{device}/{metric}', 'must hold {device} once'],
    ['sensors/{device}/{metric}/{unit}', 'must not hold "{unit}"'],
    ['sensors/{device}/{metric}/#', 'must not hold "#"'],
    ['$SYS/{device}/{metric}', 'must not begin with "$"'],
    [`{device}/{metric}${'/x'.repeat(19)}`, 'more than 20 levels'],
  ])('%s is refused: %s', (text, message) => {
    expect(findWrongTemplate(text)).toMatch(message);
    expect(() => new TopicTemplate(text)).toThrow(message);
  });

  it('gives back the names that a topic was made of', () => {
    const name = fc.stringMatching(/^[a-zA-Z0-9_.:äöü -]{1,20}$/).filter((text) => text.trim() === text);
    fc.assert(
      fc.property(name, name, (device, metric) => {
        expect(sensors.match(`sensors/${device}/${metric}`)).toEqual({ device, metric });
      }),
    );
  });
});

describe('the subscriptions of several templates', () => {
  it.each([
    [['a/+/+', 'a/b/+', 'a/b/c', 'a/+/+'], ['a/+/+']],
    [
      ['a/b/c', '+/b/+', 'a/+/c'],
      ['+/b/+', 'a/+/c'],
    ],
    [
      ['a/+', 'a/+/+', 'b/+/+'],
      ['a/+', 'a/+/+', 'b/+/+'],
    ],
    [
      ['a/+/+', 'a/+/+/+', 'a'],
      ['a/+/+', 'a/+/+/+', 'a'],
    ],
    [[], []],
  ])('%j: what another one covers is left out', (filters, expected) => {
    expect(withoutCovered(filters)).toEqual(expected);
  });

  it('overlap where none covers the other', () => {
    expect(overlapsOf(['a/+/+', '+/b/+', 'b/+/c', 'c/c/c', 'a/+'])).toEqual([
      ['a/+/+', '+/b/+'],
      ['+/b/+', 'b/+/c'],
    ]);
  });

  it('cover what all of them cover', () => {
    const level = fc.constantFrom('+', 'a', 'b');
    const filter = fc.array(level, { minLength: 1, maxLength: 3 }).map((levels) => levels.join('/'));
    const topic = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 });
    const fits = (one: string, words: readonly string[]): boolean =>
      one.split('/').length === words.length &&
      one.split('/').every((word, index) => word === '+' || word === words[index]);
    fc.assert(
      fc.property(fc.array(filter, { maxLength: 6 }), topic, (filters, words) => {
        const kept = withoutCovered(filters);
        expect(kept.some((one) => fits(one, words))).toBe(filters.some((one) => fits(one, words)));
        // A broker that delivers for each subscription delivers once, where no two overlap.
        const deliveries = kept.filter((one) => fits(one, words)).length;
        expect(deliveries > 1 && overlapsOf(kept).length === 0).toBe(false);
      }),
    );
  });
});
