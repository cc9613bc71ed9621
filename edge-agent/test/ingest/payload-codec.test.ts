import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CODECS, decodePayload } from '../../src/ingest/payload-codec.ts';
import type { Payload } from '../../src/ingest/payload-object.ts';
import { readingsAtMost } from '../../src/ingest/payload-parts.ts';
import { REJECT_REASON_NAMES } from '../../src/ingest/reject.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const many = { readingsMax: 20, ignore: new Set<string>() };
/** What a payload says that holds one reading. */
const decode = (text: string, codec: (typeof CODECS)[number] = 'auto'): Payload | string => {
  const decoded = decodePayload(codec, bytes(text), many);
  if (typeof decoded === 'object' && 'parts' in decoded) throw new Error('several readings');
  return decoded;
};

describe('a payload that is an object', () => {
  it('gives value, time, unit and quality as they were sent', () => {
    expect(decode('{"value":-1.5e-3,"ts":1700000000000,"unit":"mm/s","seq":0,"quality":"uncertain"}')).toEqual({
      value: -0.0015,
      ts: 1_700_000_000_000,
      unit: 'mm/s',
      seq: 0,
      quality: 'uncertain',
    });
  });

  it('needs nothing but the value; null and an empty unit count as not said', () => {
    const bare = { value: 0, quality: 'good' };
    expect(decode('{"value":0}')).toEqual(bare);
    expect(decode('{"value":0,"ts":null,"unit":null,"seq":null,"quality":null}')).toEqual(bare);
    expect(decode('{"value":0,"unit":""}')).toEqual(bare);
  });

  it('ignores fields that it does not know, and white space', () => {
    expect(decode(' \n{ "value" : 3, "name": "x", "tags": {"a": [1]} }\r\n')).toEqual({ value: 3, quality: 'good' });
  });

  it.each([
    ['{"value":1', 'payload-malformed'],
    ['{value:1}', 'payload-malformed'],
    ['{"value":1}{"value":2}', 'payload-malformed'],
    ['{"value":01}', 'value-not-a-number'],
    ['{"value":None}', 'value-not-a-number'],
    ['{}', 'value-missing'],
    ['{"Value":1}', 'value-missing'],
    ['{"__proto__":{"value":1}}', 'value-missing'],
    ['{"value":"1"}', 'value-not-a-number'],
    ['{"value":true}', 'value-not-a-number'],
    ['{"value":null}', 'value-not-a-number'],
    ['{"value":[1]}', 'value-not-a-number'],
    ['{"value":{"v":1}}', 'value-not-a-number'],
    ['{"value":1e999}', 'value-not-finite'],
    ['{"value":-1e999}', 'value-not-finite'],
    ['{"value": NaN}', 'value-not-finite'],
    ['{"value": -Infinity}', 'value-not-finite'],
    ['{"value":1,"quality":"bad"}', 'quality-bad'],
    ['{"value":1,"quality":" BAD "}', 'quality-bad'],
    ['{"value":1,"unit":5}', 'unit-invalid'],
    [`{"value":1,"unit":"${'x'.repeat(33)}"}`, 'unit-invalid'],
  ])('%s is rejected as %s', (text, reason) => {
    expect(decode(text)).toBe(reason);
  });

  it('takes the longest unit', () => {
    const unit = 'x'.repeat(32);
    expect(decode(`{"value":1,"unit":"${unit}"}`)).toMatchObject({ unit });
  });

  it('is not confused by depth', () => {
    expect(decode(`{"value":${'['.repeat(30_000)}`)).toBe('payload-malformed');
    expect(decode(`{"value":${'['.repeat(10_000)}${']'.repeat(10_000)}}`)).toBe('value-not-a-number');
  });
});

describe('a payload that is a number', () => {
  it.each([
    ['21.5', 21.5],
    ['-0', -0],
    ['+7', 7],
    ['.5', 0.5],
    ['5.', 5],
    ['1e3', 1_000],
    [' 42\n', 42],
    ['1.7976931348623157e308', Number.MAX_VALUE],
    ['1e-400', 0],
  ])('%s is %d', (text, value) => {
    expect(decode(text)).toEqual({ value, quality: 'good' });
    expect(decode(text, 'number')).toEqual({ value, quality: 'good' });
  });

  it.each([
    ['', 'payload-empty'],
    ['  \n', 'payload-empty'],
    ['NaN', 'value-not-finite'],
    ['-inf', 'value-not-finite'],
    ['1e309', 'value-not-finite'],
    ['0x10', 'payload-malformed'],
    ['1,5', 'payload-malformed'],
    ['1 2', 'payload-malformed'],
    ['21.5 °C', 'payload-malformed'],
    ['ON', 'payload-malformed'],
    ['true', 'value-not-a-number'],
    ['null', 'value-not-a-number'],
    ['"21"', 'value-not-a-number'],
  ])('%j is rejected as %s', (text, reason) => {
    expect(decode(text)).toBe(reason);
  });

  it('comes back as the double that was printed, for every double', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        for (const text of [String(value), `{"value":${JSON.stringify(value)}}`]) {
          const payload = decode(text);
          expect(typeof payload === 'object' && payload.value === value).toBe(true);
        }
      }),
    );
  });
});

describe('codecs', () => {
  it('json wants an object, number wants a number', () => {
    expect(decode('21.5', 'json')).toBe('payload-malformed');
    expect(decode('[{"value":1}]', 'json')).toBe('payload-malformed');
    expect(decode('{"value":1}', 'number')).toBe('value-not-a-number');
  });

  it('what is not UTF-8 is malformed', () => {
    expect(decodePayload('auto', Uint8Array.of(0x7b, 0xff, 0x7d), many)).toBe('payload-malformed');
  });

  it('any bytes give finite values or reasons from the list, no more than there can be, and never an exception', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }).map(bytes),
      fc.json().map(bytes),
      fc.uint8Array(),
      payloads.map((json) => bytes(JSON.stringify(json))),
    );
    const isRight = (payload: unknown): boolean =>
      typeof payload === 'string'
        ? (REJECT_REASON_NAMES as readonly string[]).includes(payload)
        : Number.isFinite((payload as Payload).value);
    fc.assert(
      fc.property(texts, fc.constantFrom(...CODECS), (payload, codec) => {
        const decoded = decodePayload(codec, payload, many);
        const { parts } =
          typeof decoded === 'object' && 'parts' in decoded ? decoded : { parts: [{ at: '', payload: decoded }] };
        expect(parts.every((part) => isRight(part.payload))).toBe(true);
        expect(parts.length).toBeGreaterThan(0);
        // Beside each reading its quality and its sequence number may be refused, and those that hold for all.
        const readings = parts.filter(({ payload: part }) => part !== 'quality-unknown' && part !== 'seq-invalid');
        expect(readings.length).toBeLessThanOrEqual(many.readingsMax);
        // The topic names the sensor, or else a `metrics` object does.
        const sensors = new Map<string | undefined, number>();
        for (const part of parts) {
          if (typeof part.payload === 'string') continue;
          const metric = codec === 'metrics' ? part.payload.metric : undefined;
          sensors.set(metric, (sensors.get(metric) ?? 0) + 1);
        }
        const most = Math.max(0, ...sensors.values());
        // What the messages in flight rely on.
        expect(most).toBeLessThanOrEqual(readingsAtMost(payload));
      }),
      { numRuns: 3_000 },
    );
  });
});

/** JSON that is something like what the codecs read. */
const payloads = (() => {
  const value = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(null, 'x', true));
  const field = fc.constantFrom('value', 'ts', 'seq', 'unit', 'quality', 'metric', 'a', 'b');
  const object = fc.dictionary(field, fc.oneof(value, fc.dictionary(field, value)));
  const series = fc.record(
    { t0: fc.constantFrom(1_700_000_000_000, 'x'), dtMs: fc.constantFrom(1, 100, 0), values: fc.array(value) },
    { requiredKeys: ['values'] },
  );
  return fc.oneof(object, fc.array(fc.oneof(object, value)), series);
})();

describe('a payload with several readings', () => {
  const TS = 1_700_000_000_000;
  const parts = (text: string, codec: (typeof CODECS)[number], ignore: readonly string[] = []): unknown => {
    const decoded = decodePayload(codec, bytes(text), { readingsMax: 4, ignore: new Set(ignore) });
    if (typeof decoded === 'string' || !('parts' in decoded)) return decoded;
    return decoded.parts.map(({ at, payload }) =>
      typeof payload === 'string' ? [at, payload] : [at, payload.value, payload.ts, payload.metric],
    );
  };

  it.each(['batch', 'auto'] as const)(
    'is a list of objects (%s); what is wrong with one is said of that one',
    (codec) => {
      const list = [
        { value: 1, ts: TS },
        { value: 'x', ts: TS },
        { value: 2, ts: TS + 1, metric: 'b' },
      ];
      expect(parts(JSON.stringify(list), codec)).toEqual([
        ['[0]', 1, TS, undefined],
        ['[1]', 'value-not-a-number'],
        ['[2]', 2, TS + 1, 'b'],
      ]);
      expect(parts(`[{"value":1},5,[],null]`, codec)).toEqual([
        ['[0]', 'time-missing'],
        ['[1]', 'payload-malformed'],
        ['[2]', 'payload-malformed'],
        ['[3]', 'payload-malformed'],
      ]);
    },
  );

  it('is an object with a field for every metric; null is not sent, and others can be left out', () => {
    const object = {
      ts: TS,
      seq: 7,
      temperature: 21.5,
      pressure: { value: 3, unit: 'bar', ts: TS + 5 },
      door: null,
      id: 'x',
    };
    expect(parts(JSON.stringify(object), 'metrics')).toEqual([
      ['temperature', 21.5, TS, 'temperature'],
      ['pressure', 3, TS + 5, 'pressure'],
      ['id', 'value-not-a-number'],
    ]);
    expect(parts(JSON.stringify(object), 'metrics', ['id', 'pressure'])).toEqual([
      ['temperature', 21.5, TS, 'temperature'],
    ]);
    const [decoded] = [
      decodePayload('metrics', bytes('{"p":{"value":3,"unit":"bar","quality":null},"quality":"uncertain"}'), many),
    ];
    expect(decoded).toMatchObject({ parts: [{ payload: { unit: 'bar', quality: 'uncertain', metric: 'p' } }] });
  });

  it('is a list of such objects, each with its time', () => {
    const list = [{ ts: TS, a: 1, b: 2 }, { a: 3 }, 4];
    expect(parts(JSON.stringify(list), 'metrics')).toEqual([
      ['[0].a', 1, TS, 'a'],
      ['[0].b', 2, TS, 'b'],
      ['[1].a', 'time-missing'],
      ['[2]', 'payload-malformed'],
    ]);
  });

  it('is a series in even steps of time, with null where there is no value', () => {
    const text = '{"t0":"2023-11-14T22:13:20Z","dtMs":2.5,"values":[1,null,"x",4],"metric":"m","unit":"A"}';
    expect(parts(text, 'series')).toEqual([
      ['[0]', 1, TS, 'm'],
      ['[2]', 'value-not-a-number'],
      ['[3]', 4, TS + 7, 'm'],
    ]);
  });

  it.each([
    ['batch', '[]', 'no-readings'],
    ['batch', '{"value":1}', 'payload-malformed'],
    ['batch', '[{},{},{},{},{}]', 'too-many-readings'],
    ['batch', '[', 'payload-malformed'],
    ['metrics', '{"ts":1700000000000}', 'no-readings'],
    ['metrics', '[]', 'no-readings'],
    ['metrics', '5', 'payload-malformed'],
    ['metrics', '{"a":1,"b":1,"c":1,"d":1,"e":1}', 'too-many-readings'],
    ['metrics', '[{"a":1,"b":1},{"a":1,"b":1},{"a":1}]', 'too-many-readings'],
    ['metrics', '[1,1,1,1,1]', 'too-many-readings'],
    ['series', '{"t0":1700000000000,"dtMs":1,"values":[]}', 'no-readings'],
    ['series', '{"t0":1700000000000,"dtMs":1,"values":[1,2,3,4,5]}', 'too-many-readings'],
    ['series', '{"t0":1700000000000,"dtMs":0.5,"values":[1]}', 'series-invalid'],
    ['series', '{"t0":1700000000000,"dtMs":"1","values":[1]}', 'series-invalid'],
    ['series', '{"t0":1700000000000,"dtMs":1}', 'series-invalid'],
    ['series', '{"dtMs":1,"values":[1]}', 'series-invalid'],
    ['series', '{"t0":"2026-01-31","dtMs":1,"values":[1]}', 'time-malformed'],
    ['series', '{"t0":1700000000000,"dtMs":1,"values":[1],"quality":"bad"}', 'quality-bad'],
    ['series', '[1]', 'payload-malformed'],
  ] as const)('%s %s is rejected as a whole: %s', (codec, text, reason) => {
    expect(parts(text, codec)).toBe(reason);
  });
});
