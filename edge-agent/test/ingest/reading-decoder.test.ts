import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { ReadingDecoder } from '../../src/ingest/reading-decoder.ts';
import { UnitNames } from '../../src/ingest/unit-names.ts';
import { limits } from '../../src/limits.ts';

const NOW = epochMs(Date.UTC(2026, 0, 31, 12));
const message = (topic: string, payload: string | Uint8Array) => ({
  topic,
  payload: typeof payload === 'string' ? new TextEncoder().encode(payload) : payload,
  receivedAt: NOW,
  retained: false,
});

describe('the decoder of readings', () => {
  const decoder = new ReadingDecoder(
    [
      { topic: 'sensors/{device}/{metric}', codec: 'auto' },
      { topic: 'sensors/{device}/{metric}/raw', codec: 'number' },
      { topic: 'line/{metric}/{device}', codec: 'json' },
      { topic: 'all/{device}', codec: 'metrics', ignore: ['id'] },
      { topic: 'lists/{device}', codec: 'batch' },
      { topic: 'named/{device}', codec: 'json' },
    ],
    10,
    new UnitNames(),
  );
  const decode = (topic: string, payload: string | Uint8Array) => {
    const decoded = decoder.decode(message(topic, payload));
    if (typeof decoded === 'string') return decoded;
    if ('reading' in decoded) return decoded.reading;
    throw new Error('several readings');
  };

  it('takes device and metric from the topic and the rest from the payload', () => {
    expect(decode('sensors/press/temp', '{"value":21,"ts":1700000000000,"unit":"°C"}')).toEqual({
      device: 'press',
      metric: 'temp',
      eventTime: 1_700_000_000_000,
      value: 21,
      unit: '°C',
      quality: 'good',
    });
  });

  it('uses the time of arrival when the device sends none', () => {
    expect(decode('sensors/press/temp/raw', '21')).toEqual({
      device: 'press',
      metric: 'temp',
      eventTime: NOW,
      value: 21,
      quality: 'good',
    });
  });

  it('says whose time it is', () => {
    const timedOf = (payload: string): unknown => decoder.decode(message('sensors/press/temp', payload));
    expect(timedOf('{"value":21}')).toMatchObject({ timed: false });
    expect(timedOf('{"value":21,"ts":null}')).toMatchObject({ timed: false });
    expect(timedOf(`{"value":21,"ts":${NOW}}`)).toMatchObject({ timed: true });
  });

  it('hands on the sequence number', () => {
    expect(decode('sensors/press/temp', '{"value":21,"seq":0}')).toMatchObject({ seq: 0 });
    expect(decode('sensors/press/temp', '{"value":21,"seq":null}')).not.toHaveProperty('seq');
  });

  it('reads every template with its own codec', () => {
    expect(decode('line/temp/press', '{"value":1}')).toMatchObject({ device: 'press', metric: 'temp' });
    expect(decode('line/temp/press', '1')).toBe('payload-malformed');
    expect(decode('sensors/press/temp/raw', '{"value":1}')).toBe('value-not-a-number');
  });

  it('says the same of a topic the second time, when it is remembered', () => {
    for (const _ of [1, 2]) {
      expect(decode('sensors/press/temp', '3')).toMatchObject({ value: 3 });
      expect(decode('other/press/temp', '3')).toBe('topic-unknown');
      expect(decode('sensors/press/ ', '3')).toBe('name-invalid');
    }
  });

  it('takes the metrics of several readings from the payload, and says of each what is wrong with it', () => {
    const partsOf = (topic: string, payload: unknown): unknown => {
      const decoded = decoder.decode(message(topic, JSON.stringify(payload)));
      if (typeof decoded === 'string' || !('parts' in decoded)) return decoded;
      return decoded.parts.map(({ at, decoded: one }) =>
        typeof one === 'string'
          ? [at, one]
          : [at, one.reading.device, one.reading.metric, one.reading.value, one.timed],
      );
    };
    expect(partsOf('all/press', { temperature: 21, 'a/b': 1, id: 7 })).toEqual([
      ['temperature', 'press', 'temperature', 21, false],
      ['a/b', 'name-invalid'],
    ]);
    const ts = 1_700_000_000_000;
    expect(
      partsOf('lists/press', [
        { metric: 'a', value: 1, ts },
        { value: 1, ts },
        { metric: 'a', value: 1, ts: 'x' },
      ]),
    ).toEqual([
      ['[0]', 'press', 'a', 1, true],
      ['[1]', 'metric-missing'],
      ['[2]', 'time-malformed'],
    ]);
    // What the topic names counts.
    expect(partsOf('sensors/press/temp', [{ metric: 'a', value: 1, ts }])).toEqual([['[0]', 'press', 'temp', 1, true]]);
    // The duplicate memory relies on it, and keeps as much for each of the sensors.
    const perSensor = (topic: string): unknown => {
      const list = ['a', 'b', 'a', 'c'].map((metric, i) => ({ metric, value: i, ts: ts + i }));
      return decoder.decode(message(topic, JSON.stringify(list)));
    };
    expect(perSensor('lists/press')).toMatchObject({ perSensor: 2 });
    expect(perSensor('sensors/press/temp')).toMatchObject({ perSensor: 4 });
    expect(decode('named/press', '{"metric":"a","value":2}')).toMatchObject({ device: 'press', metric: 'a', value: 2 });
    expect(decode('named/press', '{"value":2}')).toBe('metric-missing');
    expect(decode('named/press', '{"value":2,"metric":" "}')).toBe('name-invalid');
  });

  it.each([
    [-1, 'number'],
    [0, 'number'],
    [1, 'payload-too-large'],
  ])('limit of the payload %d bytes: %s', (beyond, expected) => {
    const payload = '1'.padStart(limits.payloadBytesMax + beyond, ' ');
    const decoded = decode('sensors/a/b', payload);
    expect(typeof decoded === 'string' ? decoded : typeof decoded.value).toBe(expected);
  });

  it('lists each subscription once, and none that another one covers', () => {
    const twice = new ReadingDecoder(
      [
        { topic: 'a/press/{device}', codec: 'metrics' },
        { topic: 'a/{device}/{metric}', codec: 'auto' },
        { topic: 'a/{metric}/{device}', codec: 'auto' },
      ],
      1,
      new UnitNames(),
    );
    expect(twice.filters).toEqual(['a/+/+']);
  });

  it('goes on after it has forgotten its topics', () => {
    for (let i = 0; i <= limits.topicsRememberedMax; i++) decode(`sensors/d/${i}`, '1');
    expect(decode('sensors/d/0', '1')).toMatchObject({ metric: '0' });
  });
});
