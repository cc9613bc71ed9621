import { flux, InfluxDB } from '@influxdata/influxdb-client';
import { type Batch, type FloorRecord, type GatewayName, ingestSubject, type Row } from '@floorwatch/contracts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import type { processorLimits } from '../../src/limits.ts';
import { InfluxClient } from '../../src/write/influx-client.ts';
import { InfluxStore } from '../../src/write/influx-store.ts';
import { rowKey } from '../../src/write/row-key.ts';
import type { InfluxdbStoreConfig } from '../../src/write/store-config.ts';
import { anomaly, BASE, batchOf, BUCKET, MINUTE, rollups, start, tick } from '../support/floor.ts';
import { InfluxProxy, type Landing, type StoreFault } from '../support/influx-proxy.ts';
import { connectPublisher, hasStream, startPipeline } from '../support/running.ts';
import { noInflux, startTestInflux, type TestInflux } from '../write/influx-server.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

/** How long the store may still carry out what it did not answer; a minute in the shipped configuration. */
const LINGER_MS = 3_000;
const TIMEOUT_MS = 400;

vi.mock('../../src/limits.ts', async (original) => {
  const { processorLimits: limits } = await original<{ readonly processorLimits: typeof processorLimits }>();
  // Many small requests, and short pauses between attempts.
  return { processorLimits: { ...limits, writeRowsMax: 7, retryPauseMs: 20, retryPauseMsMax: 200 } };
});

const resources = resourcesPerTest();

/** Two gateways whose partitions differ. */
const GATEWAYS: readonly GatewayName[] = [
  { site: 'plant-1', gateway: 'gw-1' },
  { site: 'plant-1', gateway: 'gw-2' },
];
const partitionOf = (gateway: GatewayName): number =>
  Number(ingestSubject({ ...gateway, lane: 'telemetry' }).split('.')[2]);

const MINUTES = 24;

/** What a gateway sends in {@link MINUTES}: three sensors, late readings every fifth minute, an episode in each that goes on into the next. */
function batchesOf(gateway: GatewayName, place: number): Batch[] {
  const batches: Batch[] = [];
  const numbers = { telemetry: 1, anomaly: 1 };
  const send = (lane: 'telemetry' | 'anomaly', make: readonly ((number: number) => FloorRecord)[]): void => {
    const records = make.map((record) => record((numbers[lane] += 1)));
    batches.push(batchOf(records, { ...gateway, lane }));
  };
  for (const lane of ['telemetry', 'anomaly'] as const) batches.push(batchOf([start()], { ...gateway, lane }));
  for (let minute = 0; minute < MINUTES; minute++) {
    const at = BASE + minute * MINUTE;
    const episode = 1_000 * place + minute;
    const readings = Array.from({ length: 18 }, (_, i) => ({
      sensor: i % 3,
      at: at + Math.floor(i / 3) * BUCKET,
      value: Math.sin(minute * 18 + i) + 20,
    }));
    send('telemetry', [(number) => rollups(number, readings), (number) => tick(number, at + MINUTE)]);
    send('anomaly', [(number) => anomaly(number, episode + 1, 'opened')]);
    if (minute % 5 === 4) {
      const late = [0, 1, 2].map((sensor) => ({ sensor, at: at - 3 * MINUTE, value: minute + sensor }));
      send('telemetry', [(number) => rollups(number, late)]);
    }
    send('anomaly', [(number) => anomaly(number, episode + 1, 'updated', 2)]);
    if (minute > 0) send('anomaly', [(number) => anomaly(number, episode, 'closed', 3)]);
  }
  send('telemetry', [(number) => tick(number, BASE + 1_000 * 3_600_000)]);
  return batches;
}

const BATCHES = GATEWAYS.map(batchesOf);

/** One after the other from each gateway. */
const inTurn = (): Batch[] => BATCHES[0]!.flatMap((batch, i) => [batch, BATCHES[1]![i]!]);

describe.skipIf(noInflux !== undefined)(`a real InfluxDB behind a network that fails${noInflux ?? ''}`, () => {
  let influx: TestInflux;
  /** What the store holds in the end if nothing disturbs. */
  let undisturbed: readonly string[];

  beforeAll(async () => {
    influx = await startTestInflux();
  });
  afterAll(() => influx.stop());

  /** Every row that is kept, as it was written, in one order. */
  async function contents(config: InfluxdbStoreConfig): Promise<string[]> {
    const client = await InfluxClient.open(config);
    const rows = await client.query(
      flux`from(bucket: ${config.bucket}) |> range(start: 0) |> filter(fn: (r) => r._field == "row") |> group() |> keep(columns: ["_value"])`,
      (row) => String(row['_value']),
    );
    return rows.sort();
  }

  /** Sends all batches through a processor whose store stands behind a proxy that plays `faults` in turn, and waits until all is stored. */
  async function run(
    faults: readonly StoreFault[],
    poison: (row: Row) => boolean = () => false,
    prepare: (config: InfluxdbStoreConfig) => Promise<void> = async () => undefined,
  ) {
    const config = { ...(await influx.freshConfig(0)), timeoutMs: TIMEOUT_MS, lingerMs: LINGER_MS };
    await prepare(config);
    const { proxy, url: address } = await InfluxProxy.start(resources, config.url);
    let next = 0;
    proxy.script = () => faults[next++ % faults.length] ?? { kind: 'pass' };
    proxy.poison = poison;
    const store = new InfluxStore({ ...config, url: address });
    const atOnce = countAtOnce(store);
    const { url } = await resources.nats();
    const publisher = await connectPublisher(resources, url);
    const one = await startPipeline(resources, {
      url,
      dataDir: await resources.directory(),
      store,
      partitions: GATEWAYS.map(partitionOf),
    });
    await waitFor('the stream exists', () => hasStream(publisher));
    for (const batch of inTurn()) {
      await publisher.publish(batch);
      // So that many requests are made, and not one of everything.
      await new Promise((resolve) => setTimeout(resolve, 8));
    }
    const lanes = one.pipeline.lanes.map(({ runner }) => runner.partition);
    const applied = (): number => lanes.reduce((sum, { counts }) => sum + counts.batches, 0);
    await waitFor('all is applied', () => applied() >= 2 * BATCHES[0]!.length, { timeoutMs: 60_000 });
    await waitFor(
      'all is stored',
      () => lanes.every(({ outbox, windows }) => outbox.size === 0 && windows.lateWindows.rollups === 0),
      { timeoutMs: 90_000 },
    );
    return { config, proxy, one, atOnce };
  }

  it('is the measure: without faults', async () => {
    const { config, one } = await run([{ kind: 'pass' }]);
    await one.stop();
    undisturbed = await contents(config);
    // Three sensors of two gateways: windows of a minute, of a quarter and of an hour, episodes, late counts.
    const tables = undisturbed.map((text) => (JSON.parse(text) as Row).table);
    const count = (table: Row['table']): number => tables.filter((each) => each === table).length;
    expect([count('window'), count('anomaly'), count('late')]).toEqual([
      2 * 3 * (MINUTES + 2 + 1),
      2 * MINUTES,
      2 * 3 * 4,
    ]);
  });

  it('refuses every window after another program has written an integer there: /healthz says so, with what to do', async () => {
    const foreign = async ({ url, org, bucket }: InfluxdbStoreConfig): Promise<void> => {
      const api = new InfluxDB({ url, token: influx.token }).getWriteApi(org, bucket, 'ms', { flushInterval: 0 });
      api.writeRecord(`window,site=other n=1i ${BASE}`);
      await api.close();
    };
    const { config, one } = await run([{ kind: 'pass' }], undefined, foreign);
    const { ok, parts } = one.pipeline.health();
    expect(ok).toBe(false);
    expect(parts['store']).toMatch(
      /^refuses every row of "window" \(\d+ in \d+ min, dead letters now\): .*field type conflict.*What to do: another program.*"floorwatch-processor reprocess"/,
    );
    await one.stop();
    // The other tables go on.
    const tables = (await contents(config)).map((text) => (JSON.parse(text) as Row).table);
    expect(new Set(tables)).toEqual(new Set(['anomaly', 'late']));
  });

  const schedules: readonly (readonly [name: string, faults: readonly StoreFault[]])[] = [
    [
      '503 with Retry-After',
      [{ kind: 'answer', status: 503, headers: { 'retry-after': '1' } }, { kind: 'pass' }, { kind: 'pass' }],
    ],
    ['429', [{ kind: 'answer', status: 429 }, { kind: 'pass' }]],
    ['500', [{ kind: 'answer', status: 500 }, { kind: 'answer', status: 500 }, { kind: 'pass' }]],
    ['422 for a part', [{ kind: 'partial' }, { kind: 'pass' }]],
    ['a connection cut before the request', [{ kind: 'reset-before' }, { kind: 'pass' }]],
    ['a connection cut behind the body', [{ kind: 'reset-after' }, { kind: 'pass' }, { kind: 'pass' }]],
    [
      'a request that nobody answers and that lands late',
      [{ kind: 'stall', landsAfterMs: LINGER_MS - 500 }, { kind: 'pass' }, { kind: 'pass' }, { kind: 'pass' }],
    ],
    [
      'all of it mixed',
      [
        { kind: 'stall', landsAfterMs: 1_500 },
        { kind: 'answer', status: 503 },
        { kind: 'reset-after' },
        { kind: 'pass' },
        { kind: 'partial' },
        { kind: 'answer', status: 500 },
        { kind: 'reset-before' },
        { kind: 'pass' },
        { kind: 'answer', status: 429, headers: { 'retry-after': '0' } },
        { kind: 'pass' },
      ],
    ],
  ];

  it.each(schedules)('%s: nothing lost, nothing doubled, nothing goes backwards', async (_name, faults) => {
    const { config, proxy, one, atOnce } = await run(faults);
    await one.stop();
    await proxy.settled();
    expect(await contents(config)).toEqual(undisturbed);
    expect(one.pipeline.deadLetters?.rejected.size).toBe(0);
    for (const fault of faults) {
      const name = fault.kind === 'answer' ? String(fault.status) : fault.kind;
      expect(proxy.played.get(name), name).toBeGreaterThan(2);
    }
    // One request of a partition at a time, as far as the processor can know; it may have given up one that is still on its way.
    expect(atOnce.max).toBe(1);
    expect(stepsBack(proxy.landed)).toEqual([]);
  });

  it('a poison line is put aside alone, with its reason, and can be brought in later', async () => {
    const isPoison = (row: Row): boolean =>
      row.table === 'window' &&
      row.size === MINUTE &&
      row.start === BASE + 7 * MINUTE &&
      row.sensor.gateway === 'gw-1' &&
      row.sensor.device === 'press-02';
    const { config, proxy, one } = await run([{ kind: 'pass' }], isPoison);
    const [aside, ...others] = undisturbed.filter((text) => isPoison(JSON.parse(text) as Row));
    expect(others).toEqual([]);
    expect(await contents(config)).toEqual(undisturbed.filter((text) => text !== aside));
    expect(stepsBack(proxy.landed)).toEqual([]);
    const letters = one.pipeline.deadLetters?.list(10).items ?? [];
    expect(letters).toMatchObject([
      { kind: 'row', reason: 'refused', message: 'InfluxDB answers 400: unable to parse' },
    ]);
    expect(await one.pipeline.deadLetters?.get(letters[0]!.id)).toMatchObject({ row: JSON.parse(aside!) as Row });

    proxy.poison = () => false;
    expect(await one.pipeline.retryDeadLetter(letters[0]!.id)).toEqual({ kind: 'retried' });
    await waitFor('the line is stored', async () => (await contents(config)).length === undisturbed.length);
    expect(await contents(config)).toEqual(undisturbed);
    await one.stop();
  });
});

/** Counts the most writes with rows of one gateway that are under way at once; each gateway here has a partition of its own. */
function countAtOnce(store: InfluxStore): { readonly max: number } {
  const write = store.write.bind(store);
  const underWay = new Map<string, number>();
  const atOnce = { max: 0 };
  vi.spyOn(store, 'write').mockImplementation(async (rows, signal) => {
    const kept = rows.filter(({ table }) => table !== 'window_live');
    const gateways = [...new Set(kept.map((row) => ('sensor' in row ? row.sensor.gateway : row.gateway)))];
    for (const gateway of gateways) {
      const now = (underWay.get(gateway) ?? 0) + 1;
      underWay.set(gateway, now);
      atOnce.max = Math.max(atOnce.max, now);
    }
    try {
      return await write(rows, signal);
    } finally {
      for (const gateway of gateways) underWay.set(gateway, (underWay.get(gateway) ?? 1) - 1);
    }
  });
  return atOnce;
}

/** Values that landed behind a newer one of their key. */
function stepsBack(landed: readonly Landing[]): string[] {
  const newest = new Map<string, number>();
  const back: string[] = [];
  for (const row of landed.flatMap(({ rows }) => rows)) {
    const key = rowKey(row);
    const age = ageOf(row);
    if (age < (newest.get(key) ?? 0)) back.push(`${key}: ${age} behind ${newest.get(key)}`);
    newest.set(key, Math.max(age, newest.get(key) ?? 0));
  }
  return back;
}

/** Grows with every value of a key. */
function ageOf(row: Row): number {
  if (row.table === 'window') return row.revision;
  if (row.table === 'anomaly') return row.readings;
  return row.table === 'late' ? row.readings : 0;
}
