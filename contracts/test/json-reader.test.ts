import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { JsonReader } from '../src/json-reader.ts';

const encoder = new TextEncoder();
const reader = new JsonReader('sensors');

/** What reading gives, or that it throws. */
const outcome = (read: () => unknown): unknown => {
  try {
    return { value: read() };
  } catch (error) {
    return { threw: error instanceof Error ? error.name : 'something else' };
  }
};

/** `toStrictEqual` tells 0 and −0 apart. */
function expectAsJsonParse(text: string): void {
  expect(outcome(() => reader.read(encoder.encode(text)))).toStrictEqual(outcome(() => JSON.parse(text)));
}

/** Digits with a point and an exponent anywhere, as no program writes them but the grammar allows. */
const decimalText = fc
  .tuple(
    fc.boolean(),
    fc.bigInt({ min: 0n, max: 10n ** 21n }).map(String),
    fc.option(fc.stringMatching(/^[0-9]{1,25}$/), { nil: undefined }),
    fc.option(fc.integer({ min: -340, max: 310 }), { nil: undefined }),
  )
  .map(([negative, whole, fraction, exponent]) => {
    const point = fraction === undefined ? '' : `.${fraction}`;
    return `${negative ? '-' : ''}${whole}${point}${exponent === undefined ? '' : `e${exponent}`}`;
  });

/** Without what is escaped, and so left to `JSON.parse`, and without braces, which make some be forgotten. */
const sensor = fc.record({
  device: fc.constantFrom('press-1', 'press-2', 'Prüfstand', '机床'),
  metric: fc.constantFrom('temperature', 'Druck'),
  unit: fc.constantFrom('°C', 'bar'),
});

/** x with a · x ≡ 1 modulo a power of five, by Euler's theorem. */
function inverseOf(a: bigint, powerOfFive: bigint): bigint {
  let [inverse, base] = [1n, a % powerOfFive];
  for (let exponent = (powerOfFive / 5n) * 4n - 1n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) inverse = (inverse * base) % powerOfFive;
    base = (base * base) % powerOfFive;
  }
  return inverse;
}

describe('JsonReader', () => {
  it('gives every double back bit by bit', () => {
    const doubles = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 40 });
    const everyday = fc.array(
      fc
        .tuple(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.integer({ min: 1, max: 17 }))
        .map(([value, digits]) => Number(value.toPrecision(digits))),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(fc.oneof(doubles, everyday), (values) => expectAsJsonParse(JSON.stringify(values))),
      { numRuns: 2_000 },
    );
  });

  it('rounds every decimal number as JSON.parse does, also in the middle between two doubles', () => {
    fc.assert(
      fc.property(fc.array(decimalText, { minLength: 1, maxLength: 20 }), (texts) =>
        expectAsJsonParse(`[${texts.join(',')}]`),
      ),
      { numRuns: 2_000 },
    );
    // 2^53 + 1 and quarters around it lie exactly between two doubles; one digit more decides.
    const ties = ['9007199254740993', '900719925474099.25', '4503599627370496.5', '4503599627370497.5', '0.5e-22'];
    for (const tie of [...ties, '90071992547409931e-1', '9007199254740993.0', '1.7976931348623159e308', '4.9e-324']) {
      for (const more of ['', '1', '0']) expectAsJsonParse(tie.includes('e') ? `[${tie}]` : `[${tie}${more}]`);
    }
  });

  it('rounds as JSON.parse does just beside the middle between two doubles', () => {
    // If n · 2^46 = odd · 5^22 + r, then n / 10^22 lies r / (2^68 · 5^22) beside odd / 2^68, which is such a middle if odd has 54 bits.
    const [power, modulus] = [46n, 5n ** 22n];
    const inverse = inverseOf(2n ** power, modulus);
    let tried = 0;
    for (const r of [-7n, -3n, -1n, 1n, 3n, 7n]) {
      const first = (((r * inverse) % modulus) + modulus) % modulus;
      for (let n = first; n < 10n ** 18n; n += modulus) {
        const middle = (n * 2n ** power - r) / modulus;
        if (middle % 2n === 0n || middle < 2n ** 53n || middle > 2n ** 54n) continue;
        expectAsJsonParse(`[${n}e-22]`);
        tried++;
      }
    }
    expect(tried).toBeGreaterThan(0);
  });

  const texts = [
    '0 -0 00 01 - -a 1. .5 1e 1e+ +1 1E5 1e5 1e400 -1e-400 0x10 NaN',
    '[ [] [,] [1,] [1,null] [1,"a"] [null,1] [1]] [1 [1,-] [1,-a] [-a] [1,[2,[3]]]',
    '{} { {"a"} {"a":} {"a":1,} {"a":1,"a":2} {a:1} {"__proto__":{"b":1}} {"a":1}} {"1":1,"0":0}',
    '" "a "a"b "\\u00e9" "ü" "\\" true tru false null nul',
    '{"sensors":[{"device":"a"},{"device":"a"}]} {"sensors":[{"device":"a"},1]} {"sensors":[{"device":"a"}',
    '{"sensors":[{"device":"a"}{"device":"a"}]} {"sensors":{"device":"a"}} {"sensors":[{},{}]} {"sensors":[]}',
    '{"sensors":[{"a":"}","b":1},{"a":"}","b":2},{"a":"}","b":1}]} {"sensors":[{"a":{"b":1}},{"a":{"b":1}},{"a":{}}]}',
  ];
  it.each([
    ...texts.flatMap((line) => line.split(' ')),
    '',
    ' 1',
    '1 ',
    '[1 ,2]',
    '"\n"',
    '"a b"',
    '["\uFEFFa"]',
    '{"\uFEFFa":1}',
  ])('takes or refuses %j as JSON.parse does', (text) => expectAsJsonParse(text));

  it('reads any value, and any text that is nearly one, as JSON.parse does', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 5 }),
        fc.nat(),
        fc.constantFrom('', ',', '"', '}', ']', '0', 'e'),
        (value, at, odd) => {
          const text = JSON.stringify(value);
          expectAsJsonParse(text);
          const place = at % (text.length + 1);
          expectAsJsonParse(text.slice(0, place) + odd + text.slice(place + 1));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('refuses bytes that are no UTF-8, wherever they stand', () => {
    for (const text of ['"#"', '["#"]', '{"#":1}', '{"sensors":[{"device":"#"}]}']) {
      const bytes = encoder.encode(text);
      bytes[bytes.indexOf(0x23)] = 0xff;
      expect(() => reader.read(bytes), text).toThrow(TypeError);
    }
  });

  it('does not hold on to an object that is too long to be remembered', async () => {
    const read = (): WeakRef<object> => {
      const text = `{"sensors":[{"device":"short"},{"device":"${'x'.repeat(1_000)}"}]}`;
      const { sensors } = reader.read(encoder.encode(text)) as { readonly sensors: readonly object[] };
      return new WeakRef(sensors[1]!);
    };
    const long = read();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    // A reference that was just made holds until the turn is over.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(long.deref()).toBeUndefined();
  });

  it.each([
    ['a list', '{"device":"a","more":[]}', false],
    ['an object', '{"device":"a","more":{}}', false],
    ['many fields', `{${Array.from({ length: 9 }, (_, i) => `"${i}":0`).join(',')}}`, false],
    ['names', '{"device":"a","metric":"b","unit":null}', true],
  ])('remembers an object with %s: %s %s', (_what, text, isSame) => {
    const read = (): unknown =>
      (reader.read(encoder.encode(`{"sensors":[${text}]}`)) as { sensors: unknown[] }).sensors[0];
    expect(read() === read()).toBe(isSame);
  });

  it('gives the same object for a sensor that came before, in whatever order', () => {
    fc.assert(
      fc.property(fc.array(fc.array(sensor, { minLength: 1, maxLength: 8 }), { maxLength: 4 }), (lists) => {
        const seen = new Map<string, unknown>();
        for (const sensors of lists) {
          const text = JSON.stringify({ sensors });
          expectAsJsonParse(text);
          const read = reader.read(encoder.encode(text)) as { readonly sensors: readonly unknown[] };
          for (const value of read.sensors) {
            expect(value).toBe(seen.get(JSON.stringify(value)) ?? value);
            seen.set(JSON.stringify(value), value);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('gives the same list, frozen, for one that is all what it was when its first sensor began a list last', () => {
    const read = (...names: readonly string[]): readonly unknown[] => {
      const text = JSON.stringify({ sensors: names.map((device) => ({ device, metric: 'list' })), behind: [1] });
      expectAsJsonParse(text);
      return (reader.read(encoder.encode(text)) as { readonly sensors: readonly unknown[] }).sensors;
    };
    const list = read('a', 'b', 'c');
    expect(list).toBeInstanceOf(Array);
    expect(Object.isFrozen(list)).toBe(true);
    expect(read('b', 'a')).not.toBe(read('a', 'b'));
    expect(read('a', 'b', 'c')).not.toBe(list);
    expect(read('a', 'b', 'c')).toBe(read('a', 'b', 'c'));
    expect(read('a', 'b', 'd')).toHaveLength(3);
    expect(read('a', 'b')).toHaveLength(2);
    expect(read('a', 'b', 'c', 'd')).toHaveLength(4);
  });

  it('forgets lists when they are more than it may remember', () => {
    const read = (text: string): readonly unknown[] =>
      (reader.read(encoder.encode(`{"sensors":[${text}]}`)) as { readonly sensors: readonly unknown[] }).sensors;
    const list = read('{"device":"kept"}');
    expect(read('{"device":"kept"}')).toBe(list);
    const long = Array.from({ length: 2_000 }, (_, i) => `{"device":"${String(i).padStart(490, '0')}"}`);
    for (let first = 0; first < 20; first++) read([`{"device":"first ${first}"}`, ...long].join(','));
    expect(read('{"device":"kept"}')).not.toBe(list);
  });
});
