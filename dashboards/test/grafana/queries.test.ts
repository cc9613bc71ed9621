import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { InfluxDB } from '@influxdata/influxdb-client';
import { VariableType } from '@grafana/grafana-foundation-sdk/dashboard';
import { createStore, setUpStore, storeConfigSchema } from '@floorwatch/cloud-processor';
import { createLogger } from '@floorwatch/runtime';
import { lookForServer, startInfluxd } from '@floorwatch/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { skippedIf } from '../../../tests/support/index.ts';
import type { DashboardModel } from '../../src/grafana/dashboard-model.ts';
import { grafanaDashboards } from '../../src/grafana/files.ts';
import { type Choice, filledIn, fluxTarget, targetsOf } from './as-grafana.ts';
import { asTag, ELSEWHERE, END, HOT, MINUTE, ODD, sampleFloor, SILENT, sizeLabels, START } from './sample-floor.ts';

const influxd = await lookForServer('influxd');
const why = skippedIf(influxd === undefined, 'no influxd was found');

const { 'floor-overview.json': overview, 'sensor.json': sensor } = grafanaDashboards() as Record<
  string,
  DashboardModel
>;

/** Rows of an answer, with its columns and their types. */
interface Answer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly types: Readonly<Record<string, string>>;
}

const time = 'dateTime:RFC3339';
const sensorColumns = { site: 'string', gateway: 'string', device: 'string', metric: 'string' } as const;

describe.skipIf(influxd === undefined)(
  `the queries of the dashboards in a real influxd${why}`,
  { timeout: 60_000 },
  () => {
    const BUCKET = 'floor';
    let folder: string;
    let server: Awaited<ReturnType<typeof startInfluxd>>;
    let query: (flux: string) => Promise<Answer>;
    /** Titles and references of what was asked, to see that nothing was left out. */
    const asked = new Set<string>();

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'floorwatch-grafana-'));
      server = await startInfluxd({ directory: join(folder, 'data') });
      const config = storeConfigSchema.parse({
        kind: 'influxdb',
        url: server.url,
        org: 'plant',
        bucket: BUCKET,
        tokenFile: join(folder, 'token'),
        onboard: true,
      });
      const logger = createLogger('test', 'silent');
      await setUpStore(config, logger);
      const store = createStore(config, logger);
      const never = new AbortController().signal;
      await store.connect(never);
      const outcome = await store.write(sampleFloor(), never);
      if (outcome.kind !== 'written') throw new Error(JSON.stringify(outcome));
      await store.close();
      const token = (await readFile(join(folder, 'token'), 'utf8')).trim();
      const api = new InfluxDB({ url: server.url, token, timeout: 30_000 }).getQueryApi('plant');
      query = async (flux) => {
        const types: Record<string, string> = {};
        const rows = await api.collectRows(flux, (values, table) => {
          for (const column of table.columns) {
            if (column.label !== 'result' && column.label !== 'table') types[column.label] = column.dataType;
          }
          const row = table.toObject(values) as Record<string, unknown>;
          if ('error' in row) throw new Error(String(row['error']));
          return row;
        });
        return { rows, types };
      };
    });
    afterAll(async () => {
      await server.stop();
      await rm(folder, { recursive: true });
    });

    const all: Choice = { site: null, gateway: null, size: '1m' };
    const one = (ref: typeof HOT, size = '1m'): Choice => ({
      site: asTag(ref.site),
      gateway: asTag(ref.gateway),
      device: asTag(ref.device),
      metric: asTag(ref.metric),
      size,
    });

    async function ask(
      flux: string,
      choice: Choice,
      range: { from?: number; to?: number; windowPeriod?: string } = {},
    ) {
      const text = filledIn(flux, {
        choice,
        from: new Date(range.from ?? START),
        to: new Date(range.to ?? END),
        windowPeriod: range.windowPeriod ?? '1m0s',
        bucket: BUCKET,
      });
      try {
        return await query(text);
      } catch (error) {
        throw new Error(`${String(error)}\n${text}`, { cause: error });
      }
    }

    async function panel(
      dashboard: DashboardModel,
      title: string,
      choice: Choice,
      refId = 'A',
      range = {},
    ): Promise<Answer> {
      const found = dashboard.panels.find((candidate) => candidate.title === title);
      const target = targetsOf(found!).find((t) => t.refId === refId)!;
      asked.add(`${dashboard.uid}/${title}/${refId}`);
      return ask(target.query, choice, range);
    }

    const variable = async (dashboard: DashboardModel, name: string, choice: Choice): Promise<unknown[]> => {
      const found = dashboard.templating.list.find((candidate) => candidate.name === name)!;
      asked.add(`${dashboard.uid}/$${name}`);
      const { rows } = await ask(found.query as string, choice);
      return rows.map((row) => String(row['_value'])).toSorted();
    };

    describe('of the floor overview', () => {
      it('offer the names that have windows', async () => {
        expect(await variable(overview!, 'site', all)).toEqual([ELSEWHERE.site, 'plant-1']);
        expect(await variable(overview!, 'gateway', all)).toEqual(['gw-1', 'gw-2']);
        expect(await variable(overview!, 'gateway', { ...all, site: ELSEWHERE.site })).toEqual(['gw-1']);
        expect(await variable(overview!, 'gateway', { ...all, site: ['plant-1', ELSEWHERE.site] })).toEqual([
          'gw-1',
          'gw-2',
        ]);
      });

      it('count open anomalies, sensors and gateways', async () => {
        const counts = async (choice: Choice): Promise<unknown[]> => {
          const answers = [
            [await panel(overview!, 'Open critical anomalies', choice), 'open'],
            [await panel(overview!, 'Open warnings', choice), 'open'],
            [await panel(overview!, 'Sensors with data', choice), 'sensors'],
            [await panel(overview!, 'Gateways reporting', choice), 'gateways'],
          ] as const;
          return answers.map(([{ rows }, column]) => {
            expect(rows.length).toBeLessThanOrEqual(1);
            return rows[0]?.[column];
          });
        };
        expect(await counts(all)).toEqual([1, 1, 4, 3]);
        expect(await counts({ ...all, gateway: 'gw-2' })).toEqual([undefined, undefined, 1, 1]);
        expect(await counts({ ...all, site: ELSEWHERE.site })).toEqual([undefined, undefined, 1, 1]);
      });

      it('list the open anomalies, also old ones', async () => {
        const { rows, types } = await panel(overview!, 'Open anomalies', all);
        expect(rows.map((row) => [row['device'], row['severity'], row['kind']])).toEqual([
          [HOT.device, 'critical', 'above-normal'],
          [asTag(ODD.device), 'warning', 'above-normal'],
        ]);
        expect(rows[0]).toMatchObject({
          value: 91.5,
          worst_value: 95,
          expected_low: 65,
          expected_high: 75,
          score: 7.5,
          readings: 12,
        });
        expect(rows[1]!['expected_low']).toBeNaN();
        expect(rows[0]!['explanation']).toContain('episode a');
        expect(types).toEqual({
          ...sensorColumns,
          _time: time,
          kind: 'string',
          severity: 'string',
          unit: 'string',
          explanation: 'string',
          value: 'double',
          worst_value: 'double',
          expected_low: 'double',
          expected_high: 'double',
          score: 'double',
          readings: 'double',
        });
        expect((await panel(overview!, 'Open anomalies', { ...all, gateway: 'gw-2' })).rows).toEqual([]);
      });

      it.each(sizeLabels)('show every sensor once with its state, by windows of %s', async (size) => {
        const { rows, types } = await panel(overview!, 'Sensors by state', { ...all, size });
        const states = new Map(rows.map((row) => [`${String(row['site'])}/${String(row['device'])}`, row['state']]));
        expect(rows).toHaveLength(4);
        expect(states.get(`plant-1/${HOT.device}`)).toBe(2);
        expect(states.get(`plant-1/${asTag(ODD.device)}`)).toBe(1);
        expect(states.get(`plant-1/${SILENT.device}`)).toBe(size === '1h' ? 0 : -1);
        expect(states.get(`${ELSEWHERE.site}/${ELSEWHERE.device}`)).toBe(0);
        expect(rows.map((row) => row['state'])).toEqual(
          rows.map((row) => row['state']).toSorted((a, b) => Number(b) - Number(a)),
        );
        expect(rows[0]).toMatchObject({ mean: 71, sd: 2, unit: '°C' });
        expect(rows.find((row) => row['device'] === SILENT.device)).toMatchObject({ unit: '' });
        expect(types).toEqual({
          ...sensorColumns,
          state: 'double',
          last: 'double',
          unit: 'string',
          last_at: time,
          mean: 'double',
          sd: 'double',
        });
      });

      it('show the newest value of a sensor', async () => {
        const { rows } = await panel(overview!, 'Sensors by state', { ...all, site: ELSEWHERE.site });
        expect(rows).toMatchObject([{ last: 179, last_at: new Date(END - 1_000).toISOString().replace('.000', '') }]);
      });

      it('show sensors also where no anomaly was ever', async () => {
        const { rows } = await panel(overview!, 'Sensors by state', { ...all, gateway: 'gw-2' });
        expect(rows).toMatchObject([{ device: SILENT.device, state: -1 }]);
      });

      it('count the anomalies that opened', async () => {
        const { rows, types } = await panel(overview!, 'Anomalies opened', all, 'A', { windowPeriod: '15m0s' });
        const opened = (severity: string): unknown[] =>
          rows
            .filter((row) => row['severity'] === severity && row['_value'] !== 0)
            .map((row) => [Date.parse(row['_time'] as string), row['_value']]);
        expect(opened('critical')).toEqual([[START + 30 * MINUTE, 1]]);
        expect(opened('warning')).toEqual([[START + 30 * MINUTE, 1]]);
        expect(types).toEqual({ _time: time, _value: 'long', severity: 'string' });
      });

      it.each([
        ['1m', '1m0s', 180],
        ['1m', '5m0s', 36],
        ['15m', '15m0s', 12],
        ['1h', '1h0m0s', 3],
      ])('show readings per second by gateway: windows of %s every %s', async (size, windowPeriod, points) => {
        const { rows, types } = await panel(overview!, 'Readings per second', { ...all, size }, 'A', { windowPeriod });
        const of = (ref: typeof HOT): unknown[] =>
          rows.filter((row) => row['site'] === ref.site && row['gateway'] === ref.gateway).map((row) => row['_value']);
        expect(of(ELSEWHERE)).toEqual(Array<number>(points).fill(1));
        expect(of(HOT)).toEqual(Array<number>(points).fill(2));
        expect(types).toEqual({ _time: time, _value: 'double', site: 'string', gateway: 'string' });
      });

      it('show what was late and what is incomplete', async () => {
        const late = await panel(overview!, 'Late and incomplete', all, 'A');
        expect(late.rows).toMatchObject([
          { _time: new Date(START + 60 * MINUTE).toISOString().replace('.000', ''), 'late readings': 9 },
        ]);
        const incomplete = await panel(overview!, 'Late and incomplete', all, 'B');
        expect(incomplete.types).toEqual({ _time: time, 'incomplete windows': 'double' });
        expect(incomplete.rows.filter((row) => row['incomplete windows'] !== 0)).toMatchObject([
          { _time: new Date(START + 7 * MINUTE).toISOString().replace('.000', ''), 'incomplete windows': 1 },
        ]);
      });

      it('show the newest report of every gateway', async () => {
        const { rows, types } = await panel(overview!, 'Gateways', all);
        expect(rows.map((row) => [row['site'], row['gateway'], row['sensors']])).toEqual([
          [ELSEWHERE.site, 'gw-1', 2],
          ['plant-1', 'gw-1', 2],
          ['plant-1', 'gw-2', 2],
        ]);
        expect(types).toEqual({
          site: 'string',
          gateway: 'string',
          reported: time,
          started: time,
          version: 'string',
          clock: 'string',
          sensors: 'double',
        });
      });
    });

    describe('of the sensor', () => {
      it('offer the names below those chosen', async () => {
        expect(await variable(sensor!, 'site', one(HOT))).toEqual([ELSEWHERE.site, 'plant-1']);
        expect(await variable(sensor!, 'gateway', one(HOT))).toEqual(['gw-1', 'gw-2']);
        expect(await variable(sensor!, 'device', one(HOT))).toEqual([asTag(ODD.device), HOT.device].toSorted());
        expect(await variable(sensor!, 'metric', one(ODD))).toEqual([ODD.metric]);
      });

      it.each([
        ['a plain name', HOT, '1m', 180],
        ['an odd name', ODD, '1m', 180],
        ['an odd site', ELSEWHERE, '15m', 12],
        ['a silent sensor', SILENT, '1h', 2],
      ] as const)('chart the windows of %s', async (_, ref, size, n) => {
        const band = await panel(sensor!, 'Mean ± standard deviation, minimum and maximum', one(ref, size));
        expect(band.types).toEqual({
          _time: time,
          mean: 'double',
          'mean − sd': 'double',
          'mean + sd': 'double',
          min: 'double',
          max: 'double',
        });
        expect(band.rows).toHaveLength(n);
        expect(band.rows[0]).toMatchObject({ mean: 71, 'mean − sd': 69, 'mean + sd': 73, min: 60, max: 80 });
        const times = band.rows.map((row) => String(row['_time']));
        expect(times).toEqual(times.toSorted());

        const means = await panel(sensor!, 'Moving means', one(ref, size));
        expect(means.types).toEqual({ _time: time, count_mean: 'double', time_mean: 'double', ew_mean: 'double' });
        expect(means.rows).toHaveLength(n);
        expect(means.rows[0]).toMatchObject({ count_mean: 71.5, time_mean: 70.5, ew_mean: 71.25 });

        const deviations = await panel(sensor!, 'Moving standard deviations', one(ref, size));
        expect(deviations.rows[0]).toMatchObject({ count_sd: 2.5, time_sd: 1.5, ew_sd: 2.25 });

        const readings = await panel(sensor!, 'Readings per window', one(ref, size));
        expect(readings.types).toEqual({ _time: time, n: 'double', anomalous: 'double', uncertain: 'double' });
        expect(readings.rows).toHaveLength(n);
      });

      it('mark its anomalies, with those that began before', async () => {
        const annotation = sensor!.annotations.list[0]!;
        asked.add(`${sensor!.uid}/@${annotation.name}`);
        const marks = (choice: Choice): Promise<Answer> => ask(fluxTarget(annotation.target).query, choice);
        const hot = await marks(one(HOT));
        expect(hot.types).toEqual({ time, timeEnd: time, title: 'string', text: 'string', tags: 'string' });
        expect(hot.rows).toMatchObject([
          { title: 'above-normal', tags: 'critical', text: expect.stringContaining('episode a') as string },
          { title: 'above-normal', tags: 'warning', text: expect.stringContaining('episode b') as string },
        ]);
        expect(Date.parse(hot.rows[0]!['timeEnd'] as string) - Date.parse(hot.rows[0]!['time'] as string)).toBe(
          5 * MINUTE,
        );
        expect((await marks(one(ODD))).rows).toMatchObject([{ text: expect.stringContaining('episode c') as string }]);
        expect((await marks(one(SILENT))).rows).toEqual([]);
      });

      it('list its anomalies with what was expected and why', async () => {
        const { rows, types } = await panel(sensor!, 'Anomalies', one(HOT));
        expect(rows.map((row) => [row['phase'], row['severity']])).toEqual([
          ['closed', 'warning'],
          ['opened', 'critical'],
        ]);
        expect(types).toMatchObject({
          _time: time,
          until: time,
          detector: 'string',
          value: 'double',
          expected_low: 'double',
          explanation: 'string',
        });
      });
    });

    it('are all asked above', () => {
      const every = [overview!, sensor!].flatMap(({ uid, panels, templating, annotations }) => {
        const targets = panels.flatMap((p) => targetsOf(p).map(({ refId }) => `${uid}/${p.title}/${refId}`));
        const variables = templating.list.filter((v) => v.type === VariableType.Query).map((v) => `${uid}/$${v.name}`);
        return targets.concat(
          variables,
          annotations.list.map((a) => `${uid}/@${a.name}`),
        );
      });
      expect([...asked].toSorted()).toEqual(every.toSorted());
    });
  },
);
