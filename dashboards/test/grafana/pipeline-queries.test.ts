import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { VariableType } from '@grafana/grafana-foundation-sdk/dashboard';
import { InfluxDB } from '@influxdata/influxdb-client';
import { lookForServer } from '@floorwatch/servers';
import { beforeAll, describe, expect, it } from 'vitest';

import { Floor, GATEWAY } from '../../../tests/e2e/floor.ts';
import { resourcesPerSuite, skippedIf, waitFor } from '../../../tests/support/index.ts';
import type { DashboardModel } from '../../src/grafana/dashboard-model.ts';
import { type Choice, filledIn, fluxTarget, targetsOf } from './as-grafana.ts';

const influxd = await lookForServer('influxd');
const suffix = skippedIf(influxd === undefined, 'no influxd was found');

const MINUTE = 60_000;
const STEP_MS = 10_000;
/** Two hours that ended ten minutes ago, so that nothing depends on how busy the machine is. */
const END = Math.floor(Date.now() / MINUTE) * MINUTE - 10 * MINUTE;
const START = END - 120 * MINUTE;
const SENSOR = { ...GATEWAY, device: 'press 1', metric: 'temperature' };

type Row = Readonly<Record<string, unknown>>;

describe.skipIf(influxd === undefined)(
  `the queries of the committed dashboards, on what came from MQTT${suffix}`,
  () => {
    const resources = resourcesPerSuite();
    let floor: Floor;
    let dashboards: DashboardModel[];
    let query: (flux: string) => Promise<Row[]>;

    beforeAll(async () => {
      // The z-score alone: whether the others still find the second leap remarkable is not what this test is about.
      const off = { enabled: false };
      const agent = { engine: { zScore: { watch: 'always' }, adaptive: off, stuck: off, silent: off } };
      floor = await Floor.start(resources, { store: 'influxdb', agent });
      const api = new InfluxDB({
        url: floor.influxd?.url ?? '',
        token: (await readFile(floor.influxTokenFile, 'utf8')).trim(),
      }).getQueryApi('floorwatch');
      query = async (flux) => {
        const rows = await api.collectRows<Row>(flux);
        const failed = rows.find((row) => 'error' in row);
        if (failed !== undefined) throw new Error(String(failed['error']));
        return rows;
      };
      const folder = path.join(import.meta.dirname, '../../grafana/dashboards');
      dashboards = await Promise.all(
        ['floor-overview.json', 'sensor.json'].map(
          async (name) => JSON.parse(await readFile(path.join(folder, name), 'utf8')) as DashboardModel,
        ),
      );
      await play();
    }, 120_000);

    /** A calm sensor that leaps twice, the second time with its last reading; then one that is late. */
    async function play(): Promise<void> {
      const rows: [at: number, value: number][] = [];
      for (let at = START; at < END; at += STEP_MS) {
        const leaps = at === START + 60 * MINUTE || at === END - STEP_MS;
        rows.push([at, leaps ? 90 : 70 + Math.sin(at / 40_000) + Math.sin(at / 7_000)]);
      }
      await publish(SENSOR.device, rows);
      await publish('clock', [[Date.now(), 1]]);
      await waitFor('the windows are sealed', async () => (await sealed()).length === (END - START) / MINUTE, {
        timeoutMs: 60_000,
      });
      await publish(SENSOR.device, [[START + 5_000, 70]]);
      const late = 'from(bucket: "floorwatch") |> range(start: -1d) |> filter(fn: (r) => r._measurement == "late")';
      await waitFor('the late reading is counted', async () => (await query(late)).length > 0, { timeoutMs: 60_000 });
      await waitFor('it is in its window', async () => (await sealed())[0]?.revision === 1, { timeoutMs: 60_000 });
    }

    async function publish(device: string, rows: readonly (readonly [at: number, value: number])[]): Promise<void> {
      const file = path.join(await resources.directory(), 'recording.csv');
      const lines = rows.map(([at, value]) => `${new Date(at).toISOString()},${value}`);
      await writeFile(file, `time,${SENSOR.metric}\n${lines.join('\n')}\n`);
      const simulator = floor.simulator('replay', file, '--speed', 'max', '--times', 'file', '--device', device);
      expect((await simulator.exited).code, simulator.output()).toBe(0);
    }

    const sealed = async () => (await floor.windows(SENSOR, '1m')).filter(({ open, end }) => !open && end <= END);

    const ask = (flux: string, choice: Choice): Promise<Row[]> =>
      query(
        filledIn(flux, {
          choice,
          from: new Date(START),
          to: new Date(Date.now() + MINUTE),
          windowPeriod: '1m0s',
          bucket: 'floorwatch',
        }),
      ).catch((error: unknown) => {
        throw new Error(flux, { cause: error });
      });

    const all: Choice = { site: null, gateway: null, device: SENSOR.device, metric: SENSOR.metric, size: '1m' };
    const chosen: Choice = { ...SENSOR, size: '1m' };

    it('all give rows', async () => {
      for (const { title, panels, templating, annotations } of dashboards) {
        const queries = [
          ...panels.flatMap((panel) =>
            targetsOf(panel).map(({ refId, query: flux }) => ({
              name: `${panel.title ?? ''} ${refId}`,
              flux,
            })),
          ),
          ...templating.list
            .filter(({ type }) => type === VariableType.Query)
            .map((variable) => ({ name: `$${variable.name}`, flux: variable.query as string })),
          ...annotations.list.map((annotation) => ({
            name: `@${annotation.name}`,
            flux: fluxTarget(annotation.target).query,
          })),
        ];
        expect(queries.length).toBeGreaterThan(5);
        for (const { name, flux } of queries) {
          // No warning is open on this floor.
          if (name.startsWith('Open warnings')) continue;
          for (const choice of [all, chosen]) {
            expect(await ask(flux, choice), `${title}: ${name}, ${JSON.stringify(choice)}`).not.toHaveLength(0);
          }
        }
      }
    });

    it('chart the windows that the API tells', async () => {
      const panel = (title: string): string => {
        const found = dashboards.flatMap(({ panels }) => panels).find((candidate) => candidate.title === title);
        if (found === undefined) throw new Error(`there is no panel ${title}`);
        return targetsOf(found)[0]?.query ?? '';
      };
      const windows = await sealed();
      const inRange = (row: Row): boolean => Date.parse(String(row['_time'])) < END;
      const band = (await ask(panel('Mean ± standard deviation, minimum and maximum'), chosen)).filter(inRange);
      expect(band.map((row) => [Date.parse(String(row['_time'])), row['mean'], row['min'], row['max']])).toEqual(
        windows.map(({ start, mean, min, max }) => [start, mean, min, max]),
      );
      const counts = (await ask(panel('Readings per window'), chosen)).filter(inRange);
      expect(counts.reduce((sum, row) => sum + Number(row['n']), 0)).toBe((END - START) / STEP_MS + 1);

      const open = await ask(panel('Open anomalies'), all);
      expect(open).toHaveLength(1);
      expect(open[0]).toMatchObject({ device: SENSOR.device, severity: 'critical', value: 90, unit: '' });
    });
  },
);
