import { InfluxDB } from '@influxdata/influxdb-client';
import { epochMs } from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { createStore } from '../../src/write/create-store.ts';
import { InfluxStore } from '../../src/write/influx-store.ts';
import type { InfluxdbStoreConfig } from '../../src/write/store-config.ts';
import type { Store } from '../../src/write/store.ts';
import { noInflux, startTestInflux, type TestInflux } from './influx-server.ts';
import {
  anomalyRow,
  BASE,
  DAY,
  gatewayRow,
  lateRow,
  liveRow,
  messageSeen,
  MINUTE,
  NO_MOVING,
  PRESS,
  windowRow,
} from './sample-rows.ts';

const never = new AbortController().signal;

/** Columns before the data in every line of an answer: an annotation's name, the result and the number of the table. */
const TABLE_COLUMNS = 3;

describe.skipIf(noInflux !== undefined)(
  `rows in a real influxd${noInflux === undefined ? '' : ` (${noInflux})`}`,
  () => {
    let influx: TestInflux;
    let config: InfluxdbStoreConfig;
    let store: Store;

    beforeAll(async () => {
      influx = await startTestInflux();
    });
    afterAll(() => influx.stop());
    beforeEach(async () => {
      config = await influx.freshConfig(0);
      store = createStore(config, createLogger('test', 'silent'));
      await store.connect(never);
    });

    const client = (): InfluxDB => new InfluxDB({ url: config.url, token: influx.token });

    const query = (bucket: string, rest: string): Promise<Record<string, unknown>[]> =>
      client()
        .getQueryApi(config.org)
        .collectRows(`from(bucket: "${bucket}") |> range(start: 0, stop: 2200-01-01T00:00:00Z) ${rest}`);

    it('stand in measurements with the documented tags, and every number is a float', async () => {
      await store.write([windowRow(), anomalyRow(), lateRow(), gatewayRow(), liveRow(Date.now())], never);
      const main = await query(config.bucket, '|> filter(fn: (r) => r._field == "row")');
      expect(main.map((row) => String(row['_measurement'])).toSorted()).toEqual([
        'anomaly',
        'gateway',
        'late',
        'window',
      ]);
      expect(await query(config.liveBucket, '|> filter(fn: (r) => r._field == "n")')).toMatchObject([
        { _measurement: 'window_live', device: 'press-01', _value: 60 },
      ]);

      const tags: Record<string, string[]> = {
        window: ['device', 'gateway', 'metric', 'site', 'size'],
        late: ['device', 'gateway', 'metric', 'site', 'size'],
        anomaly: ['detector', 'device', 'gateway', 'kind', 'metric', 'site'],
        gateway: ['gateway', 'site'],
      };
      for (const [measurement, expected] of Object.entries(tags)) {
        const rows = await query(config.bucket, `|> filter(fn: (r) => r._measurement == "${measurement}")`);
        for (const row of rows) {
          expect(
            Object.keys(row)
              .filter((key) => !key.startsWith('_') && key !== 'result' && key !== 'table')
              .toSorted(),
          ).toEqual(expected);
        }
      }
      const lines = await client()
        .getQueryApi(config.org)
        .collectLines(`from(bucket: "${config.bucket}") |> range(start: 0, stop: 2200-01-01T00:00:00Z)`);
      const types = lines
        .filter((line) => line.startsWith('#datatype'))
        .flatMap((line) => line.split(',').slice(TABLE_COLUMNS));
      expect(types.filter((type) => !['string', 'double', 'dateTime:RFC3339', ''].includes(type))).toEqual([]);
    });

    it('show mean, variance and sd as plain fields', async () => {
      await store.write([windowRow({ revision: 2, incomplete: true })], never);
      const [row] = await query(
        config.bucket,
        '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")',
      );
      expect(row).toMatchObject({
        _time: new Date(BASE).toISOString().replace('.000', ''),
        size: '1m',
        unit: '°C',
        n: 60,
        mean: 71.25 + (0.1 + 0.2),
        variance: 1 / 3 / 60,
        sd: Math.sqrt(1 / 3 / 60),
        min: 70.5,
        max: 72.125,
        last: 71.5,
        last_at: BASE + 59_000,
        anomalous: 2,
        uncertain: 1,
        count_mean: 71.4,
        count_sd: 0.3,
        revision: 2,
        incomplete: 1,
      });
      expect(row).not.toHaveProperty('ew_mean');
    });

    it('give counters of a gateway fields of their own where the name allows it', async () => {
      await store.write([gatewayRow()], never);
      const rows = await query(config.bucket, '|> filter(fn: (r) => r._field =~ /^counter_/)');
      expect(rows.map((row) => `${String(row['_field'])}=${String(row['_value'])}`).toSorted()).toEqual([
        'counter_readings_accepted=3990',
        'counter_readings_received=4000',
      ]);
    });

    it('write a backslash in a name as a slash, and nothing else differently', async () => {
      const device = 'C:\\line 1,"a=b"\\';
      await store.write([windowRow({ sensor: { ...PRESS, device } })], never);
      const [row] = await query(config.bucket, '|> filter(fn: (r) => r._field == "n")');
      expect(row).toMatchObject({ device: 'C:/line 1,"a=b"/' });
    });

    it('leave a value out that overflowed, and keep the row', async () => {
      const row = windowRow({ aggregate: { ...windowRow().aggregate, reference: 1.7e308, mean: 1.7e308 } });
      expect(await store.write([row], never)).toEqual({ kind: 'written' });
      expect(await query(config.bucket, '|> filter(fn: (r) => r._field == "mean")')).toEqual([]);
      expect((await store.newestWindows(0, 1))[0]).toEqual(row);
    });

    it('that the server itself refuses are named, the rest is written', async () => {
      // InfluxDB fixes the type of a field per shard, here one week; an integer beforehand makes our float a conflict there.
      const write = (line: string): Promise<void> => {
        const api = client().getWriteApi(config.org, config.bucket, 'ms', { flushInterval: 0, maxRetries: 0 });
        api.writeRecord(line);
        return api.close();
      };
      await write(`window,site=x n=1i ${BASE}`);
      const rows = [0, 30, 60].map((days) => windowRow({ start: epochMs(BASE + days * DAY) }));
      expect(await store.write(rows, never)).toEqual({
        kind: 'partial',
        refused: [
          {
            index: 0,
            code: 'unfit',
            reason: expect.stringMatching(/^InfluxDB answers 422: .*field type conflict/) as string,
          },
        ],
      });
      const { items } = await store.windows({ ...rows[0]!, from: epochMs(0), to: epochMs(BASE + 90 * DAY), limit: 10 });
      expect(items).toEqual(rows.slice(1));
    });

    it('that the bucket no longer keeps are named, also when the store was told otherwise', async () => {
      const short = await influx.freshConfig(2);
      const believesForEver = new InfluxStore({ ...short, retentionDays: 0 });
      await believesForEver.connect(never);
      const hour = Math.floor(Date.now() / MINUTE) * MINUTE;
      const rows = [hour - 30 * DAY, hour, hour - 40 * DAY].map((start) => windowRow({ start: epochMs(start) }));
      const outcome = await believesForEver.write(rows, never);
      expect(outcome).toMatchObject({ kind: 'partial', refused: [{ index: 0 }, { index: 2 }] });
      expect(await believesForEver.newestWindows(0, 10)).toEqual([rows[1]]);
    });

    it('of today are written although our clock and that of NATS are 400 days ahead: the server deletes by its own', async () => {
      const year = await influx.freshConfig(365);
      const ahead = new InfluxStore(year, messageSeen(Date.now() + 400 * DAY));
      await ahead.connect(never);
      const row = windowRow({ start: epochMs(Math.floor(Date.now() / MINUTE) * MINUTE) });
      expect(await ahead.write([row], never)).toEqual({ kind: 'written' });
      expect(ahead.concerns()).toEqual({ storeClock: 'ok' });
    });

    it.each([
      ['400 d ahead of', -400],
      ['2 d behind', 2],
    ])('belong to a server whose clock is %s ours, which is said', async (words, daysOff) => {
      const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + daysOff * DAY);
      try {
        const other = new InfluxStore(config);
        await other.connect(never);
        expect(other.concerns()['storeClock']).toContain(`the clock of the InfluxDB server is ${words} ours`);
      } finally {
        clock.mockRestore();
      }
    });

    it('need a token with rights, and buckets', async () => {
      const wrongBucket = createStore({ ...config, bucket: 'elsewhere' }, createLogger('test', 'silent'));
      await expect(wrongBucket.connect(never)).rejects.toMatchObject({
        code: 'not-set-up',
        message: expect.stringContaining('set-up --config') as string,
      });
      await expect(wrongBucket.write([windowRow()], never)).rejects.toMatchObject({ code: 'not-set-up' });
      const { tokenFile: _, ...withoutFile } = config;
      process.env['FLOORWATCH_INFLUX_TOKEN'] = 'wrong';
      try {
        const wrongToken = createStore(withoutFile, createLogger('test', 'silent'));
        await expect(wrongToken.connect(never)).rejects.toMatchObject({ code: 'unauthorised' });
        await expect(wrongToken.write([windowRow()], never)).rejects.toMatchObject({ code: 'unauthorised' });
        await expect(wrongToken.gateways(0)).rejects.toMatchObject({ code: 'unauthorised' });
      } finally {
        delete process.env['FLOORWATCH_INFLUX_TOKEN'];
      }
    });

    it('are there after a kill of the server, and the same store goes on', async () => {
      await store.write([windowRow({ moving: NO_MOVING })], never);
      await influx.influxd.kill9();
      await expect(store.write([windowRow()], never)).rejects.toMatchObject({ code: 'unreachable', retryable: true });
      await influx.influxd.start();
      expect(await store.newestWindows(0, 10)).toEqual([windowRow({ moving: NO_MOVING })]);
      await store.write([windowRow({ revision: 1 })], never);
      expect(await store.newestWindows(0, 10)).toEqual([windowRow({ revision: 1 })]);
    });
  },
);
