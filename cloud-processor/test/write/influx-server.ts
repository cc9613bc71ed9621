import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createLogger } from '@floorwatch/runtime';
import { lookForServer, startInfluxd } from '@floorwatch/servers';

import { setUpStore } from '../../src/write/set-up.ts';
import { type InfluxdbStoreConfig, storeConfigSchema } from '../../src/write/store-config.ts';

const found = await lookForServer('influxd');

/** Why tests that need InfluxDB are left out, for their names; undefined when there is one. */
export const noInflux =
  found === undefined ? 'skipped: no influxd on PATH, in FLOORWATCH_INFLUXD or in the cache' : undefined;

/** A real influxd, set up by our own command. */
export interface TestInflux {
  readonly influxd: Awaited<ReturnType<typeof startInfluxd>>;
  readonly folder: string;
  readonly token: string;
  /** The configuration of a store in buckets of its own, which exist. */
  freshConfig(retentionDays: number): Promise<InfluxdbStoreConfig>;
  stop(): Promise<void>;
}

let buckets = 0;

export async function startTestInflux(): Promise<TestInflux> {
  const folder = await mkdtemp(join(tmpdir(), 'floorwatch-influx-'));
  const influxd = await startInfluxd({
    directory: join(folder, 'data'),
    ...(found === undefined ? {} : { path: found.path }),
  });
  const tokenFile = join(folder, 'token');
  const logger = createLogger('test', 'silent');
  const freshConfig = async (retentionDays: number): Promise<InfluxdbStoreConfig> => {
    buckets++;
    const config = storeConfigSchema.parse({
      kind: 'influxdb',
      url: influxd.url,
      org: 'plants, "north" & south',
      bucket: `floorwatch ${buckets}`,
      liveBucket: `floorwatch live ${buckets}`,
      tokenFile,
      onboard: true,
      retentionDays,
    }) as InfluxdbStoreConfig;
    await setUpStore(config, logger);
    return config;
  };
  try {
    await freshConfig(0);
  } catch (error) {
    await influxd.stop();
    throw error;
  }
  const token = (await readFile(tokenFile, 'utf8')).trim();
  return {
    influxd,
    folder,
    token,
    freshConfig,
    async stop() {
      await influxd.stop();
      await rm(folder, { recursive: true });
    },
  };
}
