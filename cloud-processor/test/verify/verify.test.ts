import { join } from 'node:path';

import { DuckDBInstance } from '@duckdb/node-api';
import { InfluxDB } from '@influxdata/influxdb-client';
import { COUNT_MS, days, epochMs, type GatewayRow } from '@floorwatch/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { addsUp, describeReport } from '../../src/verify/describe-report.ts';
import { type DuckdbStoreConfig, storeConfigSchema } from '../../src/write/store-config.ts';
import { BASE, MINUTE } from '../support/floor.ts';
import { noInflux, startTestInflux, type TestInflux } from '../write/influx-server.ts';
import { gatewayRow } from '../write/sample-rows.ts';
import { type CountingGateway, hoursOf } from './counting-gateway.ts';
import { Floor, shown } from './stored-floor.ts';

const HOURS = 3;
const never = new AbortController().signal;
const resources = resourcesPerTest();

describe('what is stored in a file', () => {
  let file: string;
  let floor: Floor;

  async function filled(more: (gateway: CountingGateway) => void = () => undefined): Promise<void> {
    file = join(await resources.directory(), 'store.duckdb');
    floor = await Floor.open(storeConfigSchema.parse({ kind: 'duckdb', file, retentionDays: 0 }), resources);
    hoursOf(floor.gateway, HOURS);
    more(floor.gateway);
    floor.apply();
    await floor.write();
  }

  /** Changes the store behind the processor's back. */
  async function sql(text: string): Promise<void> {
    const { memoryLimitMb } = storeConfigSchema.parse({ kind: 'duckdb', file }) as DuckdbStoreConfig;
    const instance = await DuckDBInstance.fromCache(file, { memory_limit: `${memoryLimitMb}MiB` });
    const connection = await instance.connect();
    expect((await connection.run(text)).rowsChanged).toBe(1);
    connection.closeSync();
    instance.closeSync();
  }

  const WINDOW = `time = TIMESTAMP '2026-03-02 09:05:00' AND size = '1m' AND metric = 'temperature'`;

  it('adds up when nothing happened to it: every reading of every hour in every window, and every anomaly', async () => {
    await filled();
    const report = await floor.verify();
    expect(shown(report.differences)).toEqual([]);
    const [gateway] = report.gateways;
    expect([report.ok, gateway!.lost, gateway!.intake]).toEqual([true, [], null]);
    expect(gateway!.readings).toEqual({
      told: floor.gateway.readings,
      hours: 2 * HOURS,
      windows: 2 * HOURS * (60 + 4 + 1),
      inFlight: 0,
      uncounted: 0,
      unhashed: 0,
      lost: 0,
      late: 0,
      lateWaiting: 0,
    });
    expect(gateway!.episodes).toEqual({ opened: HOURS, closed: HOURS, hours: HOURS, inFlight: 0, uncounted: 0 });
    expect(gateway!.lanes).toMatchObject([
      { lane: 'anomaly', floor: 1 + 2 * HOURS, inFlight: 0 },
      { lane: 'telemetry', floor: 1 + 2 * 60 * HOURS, inFlight: 0 },
    ]);
  });

  it('adds up while windows are open and nothing has been written', async () => {
    file = join(await resources.directory(), 'store.duckdb');
    floor = await Floor.open(storeConfigSchema.parse({ kind: 'duckdb', file, retentionDays: 0 }), resources);
    hoursOf(floor.gateway, HOURS);
    floor.apply();
    const report = await floor.verify();
    expect([report.ok, report.gateways[0]!.readings.hours]).toEqual([true, 2 * HOURS]);
    expect(report.unsent).toBeGreaterThan(300);
  });

  it('is compared in the hours that are asked for', async () => {
    await filled();
    const [from, to] = [epochMs(BASE + COUNT_MS), epochMs(BASE + 2 * COUNT_MS)];
    expect((await floor.verify({ from, to })).gateways[0]).toMatchObject({
      readings: { hours: 2, told: 2 * 360 },
      episodes: { hours: 1 },
    });
    const unknown = await floor.verified({ gateway: 'another' });
    expect([unknown.report?.gateways, addsUp(unknown)]).toEqual([[], false]);
    expect(describeReport(unknown)).toEqual(['nothing to compare: no gateway of that name has sent anything']);
    expect(addsUp(await floor.verified({ site: 'plant-1' }))).toBe(true);
    const old = await floor.verified({ to: epochMs(BASE - COUNT_MS) });
    expect([old.report?.ok, addsUp(old)]).toEqual([true, false]);
    expect(describeReport(old).at(-1)).toMatch(/^nothing to compare: between --from and --to/);
    floor.keptFrom = to + 3_600_000;
    expect((await floor.verify()).gateways[0]!.readings.hours).toBe(0);
  });

  it('is compared in the seven days before the end that was asked for', async () => {
    await filled();
    // The watermark moves on: two weeks later nothing is compared without an end, and all of it with one.
    floor.gateway.tick(BASE + days(14));
    floor.apply();
    expect((await floor.verify()).gateways[0]!.readings.hours).toBe(0);
    expect((await floor.verify({ to: epochMs(BASE + days(1)) })).gateways[0]!.readings.hours).toBe(2 * HOURS);
  });

  it.each([
    ['the middle of an hour', BASE + COUNT_MS + 10 * MINUTE, 1],
    ['the end of all days', 8_640_000_000_000_000, HOURS],
  ])('leaves out the hour that is over after %s', async (_what, to, hours) => {
    await filled();
    const report = await floor.verify({ to: epochMs(to) });
    expect(shown(report.differences)).toEqual([]);
    expect(report.gateways[0]).toMatchObject({ readings: { hours: 2 * hours }, episodes: { hours } });
  });

  it.each([
    [
      'a window is removed',
      `DELETE FROM "window" WHERE ${WINDOW} AND device = 'press-01'`,
      ['readings press-01/temperature 1m hour 1: 360 told, 354 stored'],
    ],
    [
      'a window is stored twice',
      `INSERT INTO "window" FROM "window" WHERE ${WINDOW} AND device = 'press-01'`,
      ['readings press-01/temperature 1m hour 1: 360 told, 366 stored'],
    ],
    [
      'a window says another number of readings',
      `UPDATE "window" SET row = replace(row, '"n":6,', '"n":7,') WHERE ${WINDOW} AND device = 'press-01'`,
      ['readings press-01/temperature 1m hour 1: 360 told, 361 stored'],
    ],
    [
      'a window holds other readings',
      `UPDATE "window" SET row = regexp_replace(row, '"hash":".', '"hash":"' || if(row LIKE '%"hash":"0%', '1', '0')) WHERE ${WINDOW} AND device = 'press-01'`,
      ['readings press-01/temperature 1m hour 1: 360 told, 360 stored'],
    ],
    [
      'the mean of a window is changed',
      `UPDATE "window" SET row = regexp_replace(row, '"mean":[^,]*', '"mean":3.5') WHERE ${WINDOW} AND device = 'press-01'`,
      ['values press-01/temperature 1m hour 1: - told, 360 stored'],
    ],
    [
      'the greatest value of an hour is changed',
      `UPDATE "window" SET row = regexp_replace(row, '"max":[^,]*', '"max":99') WHERE time = TIMESTAMP '2026-03-02 09:00:00' AND size = '1h' AND metric = 'temperature' AND device = 'press-01'`,
      ['values press-01/temperature 1h hour 1: - told, 360 stored'],
    ],
    [
      'an anomaly is removed',
      `DELETE FROM anomaly WHERE time = TIMESTAMP '2026-03-02 09:20:00'`,
      ['opened gateway - hour 1: 1 told, 0 stored', 'closed gateway - hour 1: 1 told, 0 stored'],
    ],
    [
      'an anomaly is open that has closed',
      `UPDATE anomaly SET row = replace(row, '"phase":"closed"', '"phase":"opened"') WHERE time = TIMESTAMP '2026-03-02 09:20:00'`,
      ['closed gateway - hour 1: 1 told, 0 stored'],
    ],
    [
      'an anomaly is another one',
      `UPDATE anomaly SET row = replace(row, '"id":"0', '"id":"f') WHERE time = TIMESTAMP '2026-03-02 09:20:00'`,
      ['opened gateway - hour 1: 1 told, 1 stored', 'closed gateway - hour 1: 1 told, 1 stored'],
    ],
    [
      'what the gateway told is removed',
      `DELETE FROM counted WHERE time = TIMESTAMP '2026-03-02 09:00:00' AND metric = 'temperature'`,
      ['untold press-01/temperature - hour 1: - told, 360 stored'],
    ],
  ])('does not add up when %s, and says where', async (_what, change, expected) => {
    await filled();
    await sql(change);
    const report = await floor.verify();
    expect(report.ok).toBe(false);
    expect(shown(report.differences)).toEqual(expected);
    expect(report.differencesTotal).toBe(expected.length);
  });

  const lost = Array.from({ length: 6 }, (_, i) => ({ sensor: 0, at: BASE + i * 10_000, value: i }));
  const nextHour = { sensor: 1, at: BASE + HOURS * COUNT_MS, value: 1 };

  it('adds up with what the gateway declared lost, and says how much that was', async () => {
    file = join(await resources.directory(), 'store.duckdb');
    floor = await Floor.open(storeConfigSchema.parse({ kind: 'duckdb', file, retentionDays: 0 }), resources);
    floor.gateway.lose(lost);
    hoursOf(floor.gateway, HOURS);
    floor.apply();
    const report = await floor.verify();
    expect(shown(report.differences)).toEqual([]);
    const [gateway] = report.gateways;
    expect(gateway!.lost).toMatchObject([
      { lane: 'telemetry', from: 2, to: 2, reason: 'cap', readings: 6, unknown: false },
    ]);
    expect(gateway!.readings).toMatchObject({ told: floor.gateway.readings, lost: 6 });
  });

  it('says nothing of what the gateway may have told in a tick that was lost', async () => {
    await filled((gateway) => {
      // Accepted late and sent, but the tick that told of it is lost, and so is the one that told of an episode.
      gateway.accept({ sensor: 0, at: BASE + 5, value: 1 });
      gateway.episode(30, 'opened');
      gateway.loseTick(BASE + HOURS * COUNT_MS + 1);
      gateway.tick(BASE + HOURS * COUNT_MS + 2);
    });
    const report = await floor.verify();
    expect(shown(report.differences)).toEqual([]);
    expect(report.gateways[0]).toMatchObject({
      readings: { uncounted: 1, inFlight: 0, hours: 2 * HOURS - 1 },
      episodes: { uncounted: 1, inFlight: 0, hours: HOURS - 1 },
    });
  });

  it('does not add up when more is missing than the gateway declared lost', async () => {
    file = join(await resources.directory(), 'store.duckdb');
    floor = await Floor.open(storeConfigSchema.parse({ kind: 'duckdb', file, retentionDays: 0 }), resources);
    floor.gateway.lose(lost, 5);
    hoursOf(floor.gateway, HOURS);
    floor.apply();
    const report = await floor.verify();
    expect(shown(report.differences)).toEqual(['lost gateway -: - told, - stored']);
    expect(report.differences[0]!.finding).toContain('6 readings are missing');
  });

  it('does not add up while nothing has come behind numbers that were declared lost: anybody may have declared that', async () => {
    await filled((gateway) => gateway.loseTick(BASE + HOURS * COUNT_MS + 1));
    const { ok, differences } = await floor.verify();
    expect([ok, shown(differences)]).toEqual([false, ['lost gateway -: - told, - stored']]);
    expect(differences[0]!.finding).toContain('the gateway has sent nothing behind them');
    floor.gateway.tick(BASE + HOURS * COUNT_MS + 2);
    floor.apply();
    expect((await floor.verify()).differences).toEqual([]);
  });

  it('does not add up when a reading was accepted of which nothing was sent', async () => {
    await filled((gateway) => {
      gateway.count({ sensor: 0, at: BASE + 5, value: 1 });
      gateway.tick(BASE + HOURS * COUNT_MS + 1);
    });
    expect(shown((await floor.verify()).differences)).toEqual([
      'readings press-01/temperature 1m hour 0: 361 told, 360 stored',
      'readings press-01/temperature 15m hour 0: 361 told, 360 stored',
      'readings press-01/temperature 1h hour 0: 361 told, 360 stored',
    ]);
  });

  it('says nothing of late readings until the gateway told of them, and waits for no window', async () => {
    await filled();
    floor.gateway.accept({ sensor: 0, at: BASE + 5, value: 1 });
    floor.apply();
    const before = await floor.verify();
    expect([before.ok, before.gateways[0]!.readings.inFlight]).toEqual([true, 1]);
    floor.gateway.tick(BASE + HOURS * COUNT_MS + 1);
    floor.apply();
    const after = await floor.verify();
    expect(shown(after.differences)).toEqual([]);
    expect(after.gateways[0]!.readings).toMatchObject({ inFlight: 0, hours: 2 * HOURS, late: 1, lateWaiting: 3 });
  });

  it('does not add up when a late reading is never told', async () => {
    await filled((gateway) => {
      gateway.accept({ sensor: 0, at: BASE + 5, value: 1 });
      gateway.silent = true;
      gateway.tick(BASE + HOURS * COUNT_MS + 1);
    });
    expect(shown((await floor.verify()).differences)).toContain(
      'readings press-01/temperature 1m hour 0: 360 told, 361 stored',
    );
  });

  it('leaves an hour out of which the gateway has told of more than the processor has taken', async () => {
    await filled((gateway) => {
      gateway.episode(30, 'opened');
      gateway.tick(BASE + HOURS * COUNT_MS + 1);
      gateway.episode(31, 'opened');
    });
    const report = await floor.verify();
    expect([report.ok, report.gateways[0]!.episodes]).toEqual([
      true,
      { opened: HOURS - 1, closed: HOURS - 1, hours: HOURS - 1, inFlight: 1, uncounted: 0 },
    ]);
  });

  it('does not add up while a gateway tells nothing of what it accepts', async () => {
    file = join(await resources.directory(), 'store.duckdb');
    floor = await Floor.open(storeConfigSchema.parse({ kind: 'duckdb', file, retentionDays: 0 }), resources);
    floor.gateway.silent = true;
    hoursOf(floor.gateway, 1);
    floor.gateway.accept(nextHour);
    floor.apply();
    const report = await floor.verify();
    expect(shown(report.differences)).toEqual([
      'untold press-01/temperature - hour 0: - told, 360 stored',
      'untold press-01/pressure - hour 0: - told, 360 stored',
    ]);
    expect(report.differences[0]!.cause).toContain('does not count');
  });

  it('does not add up when the counters of the gateway do not', async () => {
    await filled();
    const counters = { readingsReceived: 10, readingsAccepted: 7, readingsRejected: 1, readingsDuplicate: 1 };
    const row: GatewayRow = gatewayRow({ counters });
    await floor.store.write([row], never);
    expect(shown((await floor.verify()).differences)).toEqual([`intake gateway - hour -1: - told, - stored`]);
    await floor.store.write([{ ...row, counters: { ...counters, readingsQuarantined: 1 } }], never);
    expect((await floor.verify()).gateways[0]!.intake).toMatchObject({ received: 10, accepted: 7, quarantined: 1 });
  });
});

describe.skipIf(noInflux !== undefined)(
  `what is stored in InfluxDB${noInflux === undefined ? '' : ` (${noInflux})`}`,
  () => {
    let influx: TestInflux;
    beforeAll(async () => {
      influx = await startTestInflux();
    });
    afterAll(async () => influx.stop());

    it('adds up, and no more when a window or an anomaly is removed or changed', async () => {
      const config = await influx.freshConfig(0);
      const floor = await Floor.open(config, resources);
      hoursOf(floor.gateway, HOURS);
      floor.apply();
      await floor.write();
      const report = await floor.verify();
      expect([report.ok, report.gateways[0]!.readings.hours]).toEqual([true, 2 * HOURS]);

      const remove = async (predicate: string, start: number): Promise<void> => {
        const [from, to] = [new Date(BASE + start).toISOString(), new Date(BASE + start + 1).toISOString()];
        const response = await fetch(
          `${config.url}/api/v2/delete?org=${encodeURIComponent(config.org)}&bucket=${encodeURIComponent(config.bucket)}`,
          {
            method: 'POST',
            headers: { authorization: `Token ${influx.token}`, 'content-type': 'application/json' },
            body: JSON.stringify({ start: from, stop: to, predicate }),
          },
        );
        expect(response.status).toBe(204);
      };
      await remove('_measurement="window" AND size="1m" AND device="press-01" AND metric="temperature"', 65 * MINUTE);
      await remove('_measurement="anomaly"', 80 * MINUTE);
      expect(shown((await floor.verify()).differences)).toEqual([
        'readings press-01/temperature 1m hour 1: 360 told, 354 stored',
        'opened gateway - hour 1: 1 told, 0 stored',
        'closed gateway - hour 1: 1 told, 0 stored',
      ]);

      const api = new InfluxDB({ url: config.url, token: influx.token });
      const flux = `from(bucket: ${JSON.stringify(config.bucket)}) |> range(start: 0)
      |> filter(fn: (r) => r._measurement == "window" and r.size == "15m" and r.metric == "pressure" and r._field == "row")
      |> first()`;
      const [row] = await api.getQueryApi(config.org).collectRows<Record<string, string>>(flux);
      const changed = row!['_value']!.replace(/"mean":[^,]*/, '"mean":0.25').replaceAll('"', String.raw`\"`);
      const writer = api.getWriteApi(config.org, config.bucket, 'ms', { maxRetries: 0 });
      writer.writeRecord(
        String.raw`window,site=plant-1,gateway=gw-1,device=press-01,metric=pressure,size=15m row="${changed}" ${BASE}`,
      );
      await writer.close();
      expect(shown((await floor.verify()).differences)).toContain(
        'values press-01/pressure 15m hour 0: - told, 360 stored',
      );
    });
  },
);
