import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { CODECS, decodePayload } from '../../src/ingest/payload-codec.ts';
import { REJECT_REASON_NAMES } from '../../src/ingest/reject.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (text: string, codec: (typeof CODECS)[number] = 'auto') => decodePayload(codec, bytes(text));

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
    ['{"value":01}', 'payload-malformed'],
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
    ['{"value":1,"seq":-1}', 'seq-invalid'],
    ['{"value":1,"seq":1.5}', 'seq-invalid'],
    ['{"value":1,"seq":"7"}', 'seq-invalid'],
    ['{"value":1,"quality":"bad"}', 'quality-bad'],
    ['{"value":1,"quality":"GOOD"}', 'quality-unknown'],
    ['{"value":1,"quality":192}', 'quality-unknown'],
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
    ['[1]', 'value-not-a-number'],
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
    expect(decodePayload('auto', Uint8Array.of(0x7b, 0xff, 0x7d))).toBe('payload-malformed');
  });

  it('any bytes give a finite value or a reason from the list, and never an exception', () => {
    const texts = fc.oneof(fc.string({ unit: 'binary' }).map(bytes), fc.json().map(bytes), fc.uint8Array());
    fc.assert(
      fc.property(texts, fc.constantFrom(...CODECS), (payload, codec) => {
        const decoded = decodePayload(codec, payload);
        const isKnown = typeof decoded === 'string' && REJECT_REASON_NAMES.includes(decoded);
        const isFinite = typeof decoded === 'object' && Number.isFinite(decoded.value);
        expect(isKnown || isFinite).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
