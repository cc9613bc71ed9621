import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { detectOffline, engineConfigSchema, type EpisodeEvent } from '@floorwatch/edge-agent';
import { type AnomalyRow, epochMs, parseSizeLabel, type Reading } from '@floorwatch/contracts';
import { lookForServer } from '@floorwatch/servers';
import { connectAsync } from 'mqtt';
import { describe, expect, it } from 'vitest';

import { datasetPath, repositoryRoot, resourcesPerTest, skippedIf, waitFor } from '../support/index.ts';
import { Floor, GATEWAY } from './floor.ts';
import { expectedWindows, readRecording, type RecordedValue } from './recording-oracle.ts';

const MACHINE_TEMPERATURE = datasetPath('nab/data/realKnownCause/machine_temperature_system_failure.csv.gz');
const SEATTLE_WEATHER = path.join(repositoryRoot, 'node_modules/vega-datasets/data/seattle-weather.csv');
const RECORDING = MACHINE_TEMPERATURE ?? SEATTLE_WEATHER;
const NAME =
  MACHINE_TEMPERATURE === undefined
    ? 'Seattle weather, because the datasets are absent'
    : 'the machine temperature recording';

const SIZES = ['1m', '15m', '1h'];
const DEVICE = 'machine';
// The machine temperature recording steps back by 3,300 s once.
const LATENESS = { windows: { allowedLatenessSeconds: 7_200 } };
/** Reaching the end of a recording takes seconds; a machine that is busy with other tests takes longer. */
const TIMEOUT_MS = 180_000;

const influxd = await lookForServer('influxd');
const STORES = ['duckdb', 'influxdb'] as const;

describe.each(STORES)(`${NAME}, replayed into %s`, (store) => {
  const resources = resourcesPerTest();
  const missing = store === 'influxdb' && influxd === undefined;
  const suffix = skippedIf(missing, 'no influxd was found');

  it.skipIf(missing)(
    `gives exactly the windows and the anomalies of the file${suffix}`,
    async () => {
      const floor = await Floor.start(resources, { store, processor: LATENESS });
      await replay(floor, 'max').exited;
      await expectEverything(floor);
    },
    TIMEOUT_MS,
  );

  it.skipIf(missing)(
    `gives exactly the same when the processor is killed in the middle and started again${suffix}`,
    async () => {
      const floor = await Floor.start(resources, { store, processor: LATENESS });
      const simulator = await inTheMiddle(floor);
      await floor.processor.kill9();
      expect(simulator.isRunning).toBe(true);
      await floor.restartProcessor();
      await simulator.exited;
      await expectEverything(floor);
    },
    TIMEOUT_MS,
  );

  it.skipIf(missing)(
    `gives exactly the same when NATS and the store's server are killed in the middle and started again${suffix}`,
    async () => {
      const floor = await Floor.start(resources, { store, processor: LATENESS });
      const simulator = await inTheMiddle(floor);
      await Promise.all([floor.nats.kill9(), floor.influxd?.kill9()]);
      await waitFor('the processor says so', async () => (await fetch(`${floor.apiUrl}/healthz`)).status === 503);
      expect(simulator.isRunning).toBe(true);
      await Promise.all([floor.nats.start(), floor.influxd?.start()]);
      await simulator.exited;
      await expectEverything(floor);
    },
    TIMEOUT_MS,
  );
});

const replay = (floor: Floor, speed: string) =>
  floor.simulator('replay', RECORDING, '--speed', speed, '--times', 'file', '--device', DEVICE);

/** Plays the recording fast enough for a test, and slow enough that what is done now hits the middle: about sixteen seconds. */
async function inTheMiddle(floor: Floor): Promise<ReturnType<typeof replay>> {
  const values = readRecording(RECORDING);
  const [first, last] = [values[0]?.at ?? 0, values.at(-1)?.at ?? 0];
  const simulator = replay(floor, String(Math.ceil((last - first) / 16_000)));
  await waitFor(
    'the processor has applied a tenth of the recording',
    async () => (await floor.processorMetric('readings_total')) > values.length / 10,
    { timeoutMs: 60_000 },
  );
  return simulator;
}

async function expectEverything(floor: Floor): Promise<void> {
  const values = readRecording(RECORDING);
  const sealed = await sealAll(floor);
  for (const metric of new Set(values.map((value) => value.metric))) {
    for (const size of SIZES)
      await expectWindows(
        floor,
        values.filter((value) => value.metric === metric),
        metric,
        size,
      );
  }
  await expectAnomalies(floor, values, sealed);
}

/**
 * One reading of now on another sensor moves the gateway's watermark past everything that was recorded, which also shows that the
 * recorded sensors have been silent since.
 */
async function sealAll(floor: Floor): Promise<Reading> {
  const reading = {
    device: 'clock',
    metric: 'now',
    eventTime: epochMs(Date.now()),
    value: 1,
    quality: 'good' as const,
  };
  const client = await connectAsync(floor.mqttUrl);
  await client.publishAsync('sensors/clock/now', JSON.stringify({ value: 1, ts: reading.eventTime }), { qos: 1 });
  await client.endAsync();
  return reading;
}

async function expectWindows(
  floor: Floor,
  values: readonly RecordedValue[],
  metric: string,
  size: string,
): Promise<void> {
  const expected = expectedWindows(values, parseSizeLabel(size) ?? 0);
  const windows = await waitFor(
    `all ${expected.size} windows of ${size} are in the store`,
    async () => {
      const sealed = (await floor.windows(floor.sensor(DEVICE, metric), size)).filter(({ open }) => !open);
      return sealed.length === expected.size && sealed;
    },
    { timeoutMs: 60_000, intervalMs: 500 },
  );
  for (const { start, n, mean, variance, min, max, incomplete, revision } of windows) {
    const window = expected.get(start);
    expect({ start, n, min, max, incomplete, revision }).toEqual({
      start,
      n: window?.n,
      min: window?.min,
      max: window?.max,
      incomplete: false,
      revision: 0,
    });
    expectClose(mean, window?.mean);
    expectClose(variance ?? Number.NaN, window?.variance);
  }
}

/** Equal to 1e-9 of the value, or of the scale of the readings where the value itself is only rounding. */
function expectClose(actual: number, expected = Number.NaN): void {
  expect(Math.abs(actual - expected), `${actual} instead of ${expected}`).toBeLessThanOrEqual(
    Math.max(1e-9 * Math.abs(expected), 1e-20),
  );
}

async function expectAnomalies(floor: Floor, values: readonly RecordedValue[], sealed: Reading): Promise<void> {
  const readings = values.map(({ metric, at, value }) => ({
    device: DEVICE,
    metric,
    eventTime: epochMs(at),
    value,
    quality: 'good' as const,
  }));
  const newest = new Map<string, EpisodeEvent>();
  for (const episode of detectOffline(engineConfigSchema.parse({}), GATEWAY, [...readings, sealed])) {
    // The agent goes on after a stop, so an episode that lasts to the end of the recording stays open there.
    if (episode.closeReason !== 'shutdown') newest.set(episode.id, episode);
  }
  const expected = byId([...newest.values()].map(comparable));
  let stored: Record<string, unknown>[] = [];
  await waitFor(
    'every episode is in the store as it ended',
    async () => {
      stored = byId((await floor.anomalies()).map(comparable));
      return isDeepStrictEqual(stored, expected);
    },
    // A processor that was killed sends newer values only a minute after what it may have on its way.
    { timeoutMs: 90_000, intervalMs: 500 },
  ).catch(() => undefined);
  expect(newest.size).toBeGreaterThan(0);
  expect(stored).toEqual(expected);
}

/** What replaying a file must find again: everything but the clock of the gateway that found it. */
const COMPARED = [
  'id',
  'detector',
  'anomalyKind',
  'severity',
  'openedAt',
  'eventTime',
  'value',
  'worst',
  'expected',
  'score',
  'moving',
  'readings',
  'before',
  'explanation',
  'closeReason',
] as const satisfies readonly (keyof AnomalyRow & keyof EpisodeEvent)[];

const comparable = (episode: AnomalyRow | EpisodeEvent): Record<string, unknown> =>
  Object.fromEntries(COMPARED.map((field) => [field, episode[field]]));

const byId = (episodes: Record<string, unknown>[]): Record<string, unknown>[] =>
  episodes.sort((a, b) => (String(a['id']) < String(b['id']) ? -1 : 1));
