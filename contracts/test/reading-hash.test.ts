import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  addHash,
  aggregateOf,
  decodeBatch,
  encodeBatch,
  epochMs,
  hashOf,
  type HashSum,
  hashText,
  noHashes,
  NO_STATISTICS,
  ReadingHash,
  rollupHashes,
  rollupsRecord,
  textHash,
  unknownHash,
} from '../src/index.ts';

const PRESS = textHash('press/temperature');

function hashOfReading(at: number, value: number, sensor = PRESS): string {
  const hash = new ReadingHash();
  hash.set(sensor, { eventTime: at, value });
  return hashText(hash)!;
}

const sums = fc.record({
  high: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  low: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});
const big = ({ high, low }: HashSum): bigint => (BigInt(high) << 32n) | BigInt(low);

describe('hashes of readings', () => {
  it('are the same for ever: what a gateway of one release sends is compared by another', () => {
    expect(hashText(PRESS)).toBe('d853b184faed6361');
    expect(hashOfReading(1_700_000_000_000, 21.5)).toBe('babb105961065c9f');
    expect(hashOfReading(-1, -0)).toBe('d83df20d4ac83dcf');
  });

  it('differ when anything about the reading does, one bit of the value included', () => {
    const bits = new DataView(new ArrayBuffer(8));
    const changed = Array.from({ length: 64 }, (_, bit) => {
      bits.setFloat64(0, 21.5);
      bits.setBigUint64(0, bits.getBigUint64(0) ^ (1n << BigInt(bit)));
      return bits.getFloat64(0);
    });
    const hashes = [
      ...changed.map((value) => hashOfReading(1_700_000_000_000, value)),
      ...Array.from({ length: 1_000 }, (_, i) => hashOfReading(1_700_000_000_000 + i, 21.5)),
      hashOfReading(1_700_000_000_000, 21.5, textHash('press/pressure')),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  it('do not meet in either half more often than chance lets them', () => {
    const hash = new ReadingHash();
    const [high, low] = [new Set<number>(), new Set<number>()];
    const readings = 50_000;
    for (let i = 0; i < readings; i++) {
      hash.set(PRESS, { eventTime: 1_700_000_000_000 + (i >> 3) * 1_000, value: (i & 7) / 10 });
      high.add(hash.high);
      low.add(hash.low);
    }
    // The expected number of pairs is n²/2³³ = 0.29.
    expect(readings - high.size).toBeLessThan(6);
    expect(readings - low.size).toBeLessThan(6);
  });

  it('are summed modulo 2^64', () => {
    fc.assert(
      fc.property(fc.array(sums, { maxLength: 20 }), (list) => {
        const sum = noHashes();
        for (const each of list) addHash(sum, each);
        expect(big(sum)).toBe(list.reduce((total, each) => total + big(each), 0n) % 2n ** 64n);
        expect(hashOf(hashText(sum))).toEqual(sum);
      }),
    );
  });

  it('stay unknown when something unknown is added, and say so', () => {
    const sum = noHashes();
    addHash(sum, unknownHash());
    addHash(sum, PRESS);
    expect(hashText(sum)).toBeUndefined();
    expect(hashText(hashOf(undefined))).toBeUndefined();
    expect(hashText(hashOf('0123'))).toBeUndefined();
  });
});

describe('the column hash of rollups', () => {
  const rollup = (hash?: HashSum) => ({
    sensor: 0,
    start: 1_700_000_000_000,
    aggregate: aggregateOf(21, 1_700_000_001_000, false, false),
    moving: NO_STATISTICS,
    ...(hash !== undefined && { hash }),
  });
  const decoded = (hash: unknown, rollups: number) => {
    const record = rollupsRecord(
      1,
      Array.from({ length: rollups }, () => rollup()),
    );
    const columns = { ...record.columns, ...(hash !== undefined && { hash }) };
    const batch = {
      schema: 1,
      site: 'Leipzig',
      gateway: 'hall 1',
      lane: 'telemetry',
      epoch: '7-0123abcd',
      sensors: [{ device: 'press', metric: 'temperature' }],
      records: [{ ...record, base: epochMs(1_700_000_000_000), columns }],
    };
    return decodeBatch(new TextEncoder().encode(JSON.stringify(batch)));
  };

  it('brings every sum back', () => {
    fc.assert(
      fc.property(fc.array(sums, { minLength: 1, maxLength: 7 }), (list) => {
        const record = rollupsRecord(1, list.map(rollup));
        expect(decoded(record.columns.hash, list.length).ok).toBe(true);
        expect([...rollupHashes(record)!]).toEqual(list.flatMap(({ high, low }) => [low, high]));
      }),
      { numRuns: 50 },
    );
  });

  it('is absent where one is unknown, as it is in records of earlier releases', () => {
    for (const list of [
      [PRESS, undefined],
      [PRESS, unknownHash()],
    ]) {
      expect(rollupHashes(rollupsRecord(1, list.map(rollup)))).toBeUndefined();
    }
    expect(decoded(undefined, 1).ok).toBe(true);
  });

  it.each([
    ['too short', 'AAAAAAAAAA==', 1],
    ['too long', 'AAAAAAAAAAAAAAAAAAAAAA==', 1],
    ['no base64', 'AAAAA*AAAAA=', 1],
    ['padded in the middle', 'AAAAAA==AAA=', 1],
    ['a number', 7, 1],
    ['null', null, 1],
  ])('is refused when it is %s', (_name, hash, rollups) => {
    const batch = decoded(hash, rollups);
    expect(batch.ok ? 'taken' : batch.fault.message).toBe(
      'records.0.columns: column hash must hold 8 bytes per rollup in base64',
    );
  });

  it('costs 11 bytes per rollup', () => {
    const list = Array.from({ length: 1_000 }, (_, i) => rollup({ high: i * 4_294_967, low: 4_294_967_295 - i }));
    const bytes = (rollups: Parameters<typeof rollupsRecord>[1]): number =>
      encodeBatch({
        schema: 1,
        site: 's',
        gateway: 'g',
        lane: 'telemetry',
        epoch: '1-00000000',
        sensors: [{ device: 'd', metric: 'm' }],
        records: [rollupsRecord(1, rollups)],
      }).length;
    const without = bytes(list.map(() => rollup()));
    expect(Math.round((bytes(list) - without) / 1_000)).toBe(11);
  });
});
