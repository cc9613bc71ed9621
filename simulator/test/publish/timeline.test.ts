import { epochMs } from '@floorwatch/contracts';
import { describe, expect, test } from 'vitest';

import { MessageEncoder } from '../../src/publish/message.ts';
import { Timeline } from '../../src/publish/timeline.ts';

const origin = epochMs(1_000_000);
const start = epochMs(5_000_000);
const now = epochMs(5_000_700);

describe('a timeline', () => {
  test.each([
    { speed: 1, at: 1_000_000, due: 5_000_000 },
    { speed: 1, at: 1_002_000, due: 5_002_000 },
    { speed: 60, at: 1_060_000, due: 5_001_000 },
    { speed: 0.5, at: 1_001_000, due: 5_002_000 },
    { speed: 1, at: 999_000, due: 4_999_000 },
    { speed: Infinity, at: 9_000_000, due: 5_000_000 },
  ])('at speed $speed, $at is due at $due', ({ speed, at, due }) => {
    expect(new Timeline(origin, start, speed, 'source').dueAt(epochMs(at))).toBe(due);
  });

  test("event times are the source's, or the moments at which readings are due, never ahead of the clock", () => {
    const at = epochMs(1_060_000);
    expect(new Timeline(origin, start, 60, 'source').eventTimeOf(at, now)).toBe(at);
    expect(new Timeline(origin, start, 60, 'now').eventTimeOf(at, now)).toBe(5_001_000);
    expect(new Timeline(origin, start, Infinity, 'now').eventTimeOf(at, now)).toBe(now);
  });
});

describe('a message', () => {
  const sensor = { device: 'press-01', metric: 'temp "x"', unit: '°C' };

  test('is JSON with value, ts, unit and a number per sensor', () => {
    const encoder = new MessageEncoder('plant/{device}/m/{metric}', 'json');
    const [first, second] = [encoder.encode(sensor, start, -1.5e-7), encoder.encode(sensor, now, 12)];
    const other = encoder.encode({ device: 'a', metric: 'b' }, now, 3);
    expect(first.topic).toBe('plant/press-01/m/temp "x"');
    expect(JSON.parse(first.payload)).toEqual({ value: -1.5e-7, ts: 5_000_000, unit: '°C', seq: 1 });
    expect(JSON.parse(second.payload)).toMatchObject({ seq: 2 });
    expect(JSON.parse(other.payload)).toEqual({ value: 3, ts: 5_000_700, seq: 1 });
  });

  test('names another unit where the reading has one', () => {
    const encoder = new MessageEncoder('{device}/{metric}', 'json');
    const units = [undefined, '°F', undefined].map((unit) => {
      const { payload } = encoder.encode(sensor, start, 1, unit);
      return (JSON.parse(payload) as { unit: string }).unit;
    });
    expect(units).toEqual(['°C', '°F', '°C']);
  });

  test('is the bare number if asked for', () => {
    expect(new MessageEncoder('{device}/{metric}', 'value').encode(sensor, start, 21.5).payload).toBe('21.5');
  });

  test.each(['sensors/{device}', 'sensors/{metric}', 'sensors/+/{device}/{metric}', '#/{device}/{metric}'])(
    'the topic %s is refused',
    (topic) => {
      expect(() => new MessageEncoder(topic, 'json')).toThrow(/--topic .*must hold \{device\} and \{metric\}/);
    },
  );
});
