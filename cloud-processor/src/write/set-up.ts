import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';

import { HttpError, InfluxDB } from '@influxdata/influxdb-client';
import { type Bucket, BucketsAPI, OrgsAPI, SetupAPI } from '@influxdata/influxdb-client-apis';
import { type Logger, messageOf, readSecret, StartError, systemCodeOf } from '@floorwatch/runtime';

import { createStore } from './create-store.ts';
import { influxToken, translate } from './influx-client.ts';
import { type InfluxdbStoreConfig, retentionOf, type StoreConfig } from './store-config.ts';
import { StoreError } from './store.ts';

/** One thing that set-up looked after, and what it did about it. */
export interface SetUpStep {
  readonly what: string;
  readonly done: 'created' | 'changed' | 'unchanged';
}

/**
 * Makes what the store needs: of InfluxDB the two buckets with their retention, of DuckDB the file and its tables. Doing it again
 * changes nothing. A server that was never used is onboarded if the configuration allows it (`onboard`): its first user, the
 * organisation, and a token that goes into `tokenFile` and nowhere else.
 *
 * @throws StartError or StoreError that says what a person has to do.
 */
export async function setUpStore(config: StoreConfig, logger: Logger): Promise<readonly SetUpStep[]> {
  if (config.kind === 'influxdb') return setUpInflux(config);
  const isThere = existsSync(config.file);
  const store = createStore(config, logger);
  await store.connect(new AbortController().signal);
  await store.close();
  return [{ what: `file ${config.file}`, done: isThere ? 'unchanged' : 'created' }];
}

async function setUpInflux(config: InfluxdbStoreConfig): Promise<SetUpStep[]> {
  const steps: SetUpStep[] = [];
  try {
    if (config.onboard && (await onboard(config))) steps.push({ what: `organisation ${config.org}`, done: 'created' });
    const token = await influxToken(config);
    if (token === undefined) {
      throw new StartError(
        'secret-missing',
        'store.tokenFile: no token for InfluxDB is set; put one into a file and name it here, set FLOORWATCH_INFLUX_TOKEN, ' +
          'or set store.onboard to true if the server was never used',
      );
    }
    const influx = new InfluxDB({ url: config.url, token, timeout: config.timeoutMs });
    const orgID = (await found(new OrgsAPI(influx).getOrgs({ org: config.org })))?.orgs?.[0]?.id;
    if (orgID === undefined) {
      throw new StoreError(
        'not-set-up',
        `InfluxDB has no organisation ${JSON.stringify(config.org)} that the token can see; correct store.org or the token`,
      );
    }
    const { main, live } = retentionOf(config);
    steps.push(await ensureBucket(influx, orgID, config.bucket, main / 1_000));
    steps.push(await ensureBucket(influx, orgID, config.liveBucket, live / 1_000));
    return steps;
  } catch (error) {
    throw error instanceof StartError ? error : translate(error);
  }
}

async function ensureBucket(influx: InfluxDB, orgID: string, name: string, seconds: number): Promise<SetUpStep> {
  const api = new BucketsAPI(influx);
  const retentionRules: Bucket['retentionRules'] = [{ type: 'expire', everySeconds: seconds }];
  const what = `bucket ${name}`;
  const bucket = (await found(api.getBuckets({ orgID, name })))?.buckets?.[0];
  if (bucket?.id === undefined) {
    await api.postBuckets({ body: { orgID, name, retentionRules } });
    return { what, done: 'created' };
  }
  // InfluxDB tells "for ever" as a rule of 0 seconds or as no rule.
  if ((bucket.retentionRules[0]?.everySeconds ?? 0) === seconds) return { what, done: 'unchanged' };
  await api.patchBucketsID({ bucketID: bucket.id, body: { retentionRules } });
  return { what, done: 'changed' };
}

/** What a look-up by name gives; undefined where InfluxDB answers 404 instead of an empty list. */
async function found<T>(lookUp: Promise<T>): Promise<T | undefined> {
  try {
    return await lookUp;
  } catch (error) {
    if (error instanceof HttpError && error.statusCode === 404) return undefined;
    throw error;
  }
}

/** Gives a fresh server its first user and token. @returns false if the server is in use already. */
async function onboard(config: InfluxdbStoreConfig): Promise<boolean> {
  const setup = new SetupAPI(new InfluxDB({ url: config.url, timeout: config.timeoutMs }));
  if ((await setup.getSetup()).allowed !== true) return false;
  const { tokenFile } = config;
  if (tokenFile === undefined) {
    throw new StartError('secret-missing', 'store.tokenFile: must name the file that the new token is written to');
  }
  const password = await readSecret('InfluxDB password', undefined, 'FLOORWATCH_INFLUX_PASSWORD');
  // The token is safe on disk before the server knows it: the other way round, a crash would lock everybody out.
  const token = await newToken(tokenFile);
  const { main } = retentionOf(config);
  try {
    await setup.postSetup({
      body: {
        username: 'floorwatch',
        password: password ?? randomBytes(24).toString('base64url'),
        org: config.org,
        bucket: config.bucket,
        retentionPeriodSeconds: main / 1_000,
        token: token.value,
      },
    });
  } catch (error) {
    if (token.isNew) await rm(tokenFile, { force: true });
    throw error;
  }
  return true;
}

/** A token in a file that only this user can read; one that is there already is used. */
async function newToken(file: string): Promise<{ readonly value: string; readonly isNew: boolean }> {
  const value = randomBytes(32).toString('base64url');
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(`${value}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return { value, isNew: true };
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') {
      throw new StartError('secret-missing', `store.tokenFile: ${file} can't be written: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const existing = await readSecret('InfluxDB token', file, 'FLOORWATCH_INFLUX_TOKEN');
    return { value: existing ?? value, isNew: false };
  }
}
