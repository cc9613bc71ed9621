import { describe, expect, it } from 'vitest';

import { retentionOf, storeConfigSchema } from '../../src/write/store-config.ts';

const influx = { kind: 'influxdb', url: 'http://127.0.0.1:8086', org: 'plant' };

describe('the configuration of a store', () => {
  it('of DuckDB needs a file alone', () => {
    expect(storeConfigSchema.parse({ kind: 'duckdb', file: 'store.duckdb' })).toEqual({
      kind: 'duckdb',
      file: 'store.duckdb',
      memoryLimitMb: 256,
      retentionDays: 365,
      liveRetentionHours: 6,
    });
  });

  it('of InfluxDB needs an address and an organisation', () => {
    expect(storeConfigSchema.parse(influx)).toEqual({
      ...influx,
      bucket: 'floorwatch',
      liveBucket: 'floorwatch_live',
      onboard: false,
      timeoutMs: 30_000,
      lingerMs: 60_000,
      retentionDays: 365,
      liveRetentionHours: 6,
    });
  });

  it('gives the times as durations', () => {
    expect(retentionOf({ retentionDays: 2, liveRetentionHours: 3 })).toEqual({ main: 172_800_000, live: 10_800_000 });
  });

  it.each([
    ['no kind', { file: 'x' }, 'must have a kind: duckdb or influxdb'],
    ['another kind', { kind: 'sqlite', file: 'x' }, 'must have a kind: duckdb or influxdb'],
    ['an unknown field', { kind: 'duckdb', file: 'x', url: 'y' }, 'Unrecognized key: "url"'],
    ['no file', { kind: 'duckdb', file: '' }, 'Too small'],
    ['too little memory', { kind: 'duckdb', file: 'x', memoryLimitMb: 63 }, 'Too small'],
    ['half a day', { kind: 'duckdb', file: 'x', retentionDays: 0.5 }, 'expected int'],
    ['no address', { ...influx, url: 'localhost' }, 'must be an address such as'],
    ['a password in the address', { ...influx, url: 'http://me:secret@host' }, 'must not hold a user or a password'],
    ['a bucket of the system', { ...influx, bucket: '_monitoring' }, 'must not begin with "_"'],
    ['one bucket for both', { ...influx, bucket: 'b', liveBucket: 'b' }, 'must be another bucket'],
    ['running values for no time', { ...influx, liveRetentionHours: 0 }, 'Too small'],
  ])('with %s is refused', (_, config, message) => {
    const parsed = storeConfigSchema.safeParse(config);
    expect(parsed.error?.issues.map((issue) => issue.message).join('; ')).toContain(message);
  });
});
