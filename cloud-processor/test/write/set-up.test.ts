import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createLogger } from '@floorwatch/runtime';
import { startInfluxd } from '@floorwatch/servers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createStore } from '../../src/write/create-store.ts';
import { setUpStore } from '../../src/write/set-up.ts';
import { type InfluxdbStoreConfig, type StoreConfig, storeConfigSchema } from '../../src/write/store-config.ts';
import { noInflux } from './influx-server.ts';

const logger = createLogger('test', 'silent');
const never = new AbortController().signal;

describe.skipIf(noInflux !== undefined)(
  `set-up of a real influxd${noInflux === undefined ? '' : ` (${noInflux})`}`,
  () => {
    let folder: string;
    let influxd: Awaited<ReturnType<typeof startInfluxd>>;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'floorwatch-set-up-'));
      influxd = await startInfluxd({ directory: join(folder, 'data') });
    });
    afterEach(async () => {
      await influxd.stop();
      await rm(folder, { recursive: true });
    });

    const configOf = (more: object = {}): InfluxdbStoreConfig =>
      storeConfigSchema.parse({
        kind: 'influxdb',
        url: influxd.url,
        org: 'plant',
        tokenFile: join(folder, 'token'),
        onboard: true,
        ...more,
      }) as InfluxdbStoreConfig;

    const reports = (config: StoreConfig) => setUpStore(config, logger);

    it('onboards a fresh server, keeps the token for its user alone, and does nothing the second time', async () => {
      const config = configOf();
      expect(await reports(config)).toEqual([
        { what: 'organisation plant', done: 'created' },
        { what: 'bucket floorwatch', done: 'unchanged' },
        { what: 'bucket floorwatch_live', done: 'created' },
      ]);
      expect((await stat(config.tokenFile!)).mode & 0o777).toBe(0o600);
      const token = await readFile(config.tokenFile!, 'utf8');
      expect(await reports(config)).toEqual([
        { what: 'bucket floorwatch', done: 'unchanged' },
        { what: 'bucket floorwatch_live', done: 'unchanged' },
      ]);
      expect(await readFile(config.tokenFile!, 'utf8')).toBe(token);
      const store = createStore(config, logger);
      await store.connect(never);
      expect(await store.gateways(0)).toEqual([]);
    });

    it('sets the retention, and changes it when the configuration changes', async () => {
      await reports(configOf({ retentionDays: 30, liveRetentionHours: 2 }));
      expect(await retentions()).toEqual({ floorwatch: 30 * 86_400, floorwatch_live: 2 * 3_600 });
      expect(await reports(configOf({ retentionDays: 0, liveRetentionHours: 2 }))).toEqual([
        { what: 'bucket floorwatch', done: 'changed' },
        { what: 'bucket floorwatch_live', done: 'unchanged' },
      ]);
      expect(await retentions()).toEqual({ floorwatch: 0, floorwatch_live: 2 * 3_600 });
      expect(await reports(configOf({ retentionDays: 0, liveRetentionHours: 2 }))).toEqual([
        { what: 'bucket floorwatch', done: 'unchanged' },
        { what: 'bucket floorwatch_live', done: 'unchanged' },
      ]);
    });

    it('uses a token that a person put into the file', async () => {
      await writeFile(join(folder, 'token'), 'chosen-by-a-person\n', { mode: 0o600 });
      await reports(configOf());
      expect(await readFile(join(folder, 'token'), 'utf8')).toBe('chosen-by-a-person\n');
      await createStore(configOf(), logger).connect(never);
    });

    it('leaves a fresh server alone unless it is allowed to onboard it', async () => {
      const { tokenFile: _, ...config } = configOf({ onboard: false });
      await expect(reports(config)).rejects.toMatchObject({
        code: 'secret-missing',
        message: expect.stringContaining('store.onboard') as string,
      });
      const setup = (await (await fetch(`${influxd.url}/api/v2/setup`)).json()) as { allowed: boolean };
      expect(setup.allowed).toBe(true);
    });

    it('says what is wrong when the token file can not be written, the token is wrong or the organisation is unknown', async () => {
      await expect(reports(configOf({ tokenFile: join(folder, 'missing', 'token') }))).rejects.toMatchObject({
        code: 'secret-missing',
        message: expect.stringContaining('missing/token') as string,
      });
      await reports(configOf());
      await expect(reports(configOf({ org: 'another' }))).rejects.toMatchObject({
        code: 'not-set-up',
        message: expect.stringContaining('"another"') as string,
      });
      await writeFile(join(folder, 'wrong'), 'wrong');
      await expect(reports(configOf({ tokenFile: join(folder, 'wrong') }))).rejects.toMatchObject({
        code: 'unauthorised',
      });
      await influxd.stop();
      await expect(reports(configOf())).rejects.toMatchObject({ code: 'unreachable' });
    });

    async function retentions(): Promise<Record<string, number>> {
      const token = (await readFile(join(folder, 'token'), 'utf8')).trim();
      const response = await fetch(`${influxd.url}/api/v2/buckets?org=plant`, {
        headers: { authorization: `Token ${token}` },
      });
      const { buckets } = (await response.json()) as {
        buckets: { name: string; type: string; retentionRules: { everySeconds: number }[] }[];
      };
      return Object.fromEntries(
        buckets
          .filter((bucket) => bucket.type === 'user')
          .map((bucket) => [bucket.name, bucket.retentionRules[0]?.everySeconds ?? 0]),
      );
    }
  },
);

describe('set-up of DuckDB', () => {
  it('makes the file, and does nothing the second time', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'floorwatch-set-up-'));
    const config = storeConfigSchema.parse({ kind: 'duckdb', file: join(folder, 'new', 'store.duckdb') });
    const what = `file ${join(folder, 'new', 'store.duckdb')}`;
    expect(await setUpStore(config, logger)).toEqual([{ what, done: 'created' }]);
    expect(await setUpStore(config, logger)).toEqual([{ what, done: 'unchanged' }]);
    await rm(folder, { recursive: true });
  });
});
