#!/usr/bin/env node
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { epochMs, type Reading } from '@floorwatch/contracts';
import { messageOf } from '@floorwatch/runtime';
import { Command } from 'commander';

import { detectOffline } from '../detect-offline.ts';
import { SensorUnits } from '../ingest/sensor-units.ts';
import { engineConfigSchema } from '../sensor-engine-config.ts';
import { type LabelledSeries, seriesOf } from './labelled-series.ts';
import { drawPicture } from './series-picture.ts';

const HOUR_MS = 3_600_000;
/** So much may the moment move when the detectors change. */
const NEAR_MS = 6 * HOUR_MS;

/** A moment of a public series at which the agent reports an anomaly of one kind. */
interface Example {
  /** The page of `docs/kinds` that shows it, and the kind that must be found. */
  readonly page: string;
  readonly kind: string;
  readonly collection: string;
  readonly series: string;
  /** The anomaly is the first of its kind within {@link NEAR_MS} of it. */
  readonly near: string;
  readonly title: string;
  readonly hoursBefore: number;
  readonly hoursAfter: number;
  /** Hours from `near` on in which the series, which is in °C, is given in °F; no public series shows such a fault. */
  readonly hoursInFahrenheit?: number;
  /** Rules, where the kind needs them. */
  readonly engine?: Parameters<typeof engineConfigSchema.parse>[0];
}

/** Kinds that are not about the value of a reading. */
const VALUELESS: ReadonlySet<string> = new Set(['silent', 'unit']);
const RIVER = 'river-sensors';
const EXAMPLES: readonly Example[] = [
  {
    page: 'above-band',
    kind: 'below-band',
    collection: 'nab',
    series: 'realAWSCloudwatch/grok_asg_anomaly.csv',
    near: '2014-01-16T18:40:00Z',
    title: 'Use of a group of servers',
    hoursBefore: 20,
    hoursAfter: 12,
  },
  {
    page: 'above-limit',
    kind: 'below-limit',
    collection: 'nab',
    series: 'realKnownCause/machine_temperature_system_failure.csv',
    near: '2013-12-16T15:25:00Z',
    title: 'Temperature of an industrial machine before its shutdown; rule: low 45',
    hoursBefore: 48,
    hoursAfter: 24,
    engine: { limits: { rules: [{ low: 45, margin: 5 }] } },
  },
  {
    page: 'new-value',
    kind: 'new-value',
    collection: 'nab',
    series: 'realTraffic/speed_6005.csv',
    near: '2015-09-17T07:00:00Z',
    title: 'Speed of the traffic on a motorway',
    hoursBefore: 96,
    hoursAfter: 8,
  },
  {
    page: 'new-for-hour',
    kind: 'new-for-hour',
    collection: 'nab',
    series: 'realTraffic/speed_6005.csv',
    near: '2015-09-16T00:34:00Z',
    title: 'Speed of the traffic on a motorway',
    hoursBefore: 72,
    hoursAfter: 12,
  },
  {
    page: 'new-change',
    kind: 'new-change',
    collection: RIVER,
    series: 'MainStreet2019_cond',
    near: '2019-01-06T13:30:00Z',
    title: 'Conductivity of the Logan River, µS/cm',
    hoursBefore: 36,
    hoursAfter: 24,
  },
  {
    page: 'jump',
    kind: 'jump-down',
    collection: RIVER,
    series: 'FranklinBasin2014_ph',
    near: '2014-07-30T14:00:00Z',
    title: 'pH of the Logan River',
    hoursBefore: 60,
    hoursAfter: 24,
  },
  {
    page: 'fast-change',
    kind: 'fast-change',
    collection: RIVER,
    series: 'MainStreet2019_do',
    near: '2019-08-11T03:30:00Z',
    title: 'Dissolved oxygen in the Logan River, mg/L',
    hoursBefore: 48,
    hoursAfter: 24,
  },
  {
    page: 'off-average',
    kind: 'off-average',
    collection: RIVER,
    series: 'MainStreet2019_ph',
    near: '2019-03-21T16:00:00Z',
    title: 'pH of the Logan River',
    hoursBefore: 48,
    hoursAfter: 12,
  },
  {
    page: 'stuck',
    kind: 'stuck',
    collection: RIVER,
    series: 'MainStreet2019_do',
    near: '2019-08-11T12:15:00Z',
    title: 'Dissolved oxygen in the Logan River, mg/L',
    hoursBefore: 36,
    hoursAfter: 12,
  },
  {
    page: 'silent',
    kind: 'silent',
    collection: 'nab',
    series: 'realKnownCause/rogue_agent_key_updown.csv',
    near: '2014-07-11T15:59:36.174Z',
    title: 'Time between two key strokes of a person',
    hoursBefore: 12,
    hoursAfter: 8,
  },
  {
    page: 'noisy',
    kind: 'noisy',
    collection: 'iot-synthetic',
    series: 'temperature_56',
    near: '2025-03-09T08:05:00Z',
    title: 'A simulated temperature, °C',
    hoursBefore: 24,
    hoursAfter: 12,
  },
  {
    page: 'clock',
    kind: 'clock',
    collection: 'nab',
    series: 'realKnownCause/machine_temperature_system_failure.csv',
    near: '2014-01-07T02:20:00Z',
    title: 'Temperature of an industrial machine: an hour that is there twice',
    hoursBefore: 3,
    hoursAfter: 3,
  },
  {
    page: 'out-of-range',
    kind: 'out-of-range',
    collection: RIVER,
    series: 'MainStreet2019_ph',
    near: '2019-08-19T13:15:00Z',
    title: 'pH of the Logan River; rule: high 14',
    hoursBefore: 36,
    hoursAfter: 36,
    engine: { range: { rules: [{ low: 0, high: 14 }] } },
  },
  {
    page: 'too-fast',
    kind: 'too-fast',
    collection: RIVER,
    series: 'MainStreet2019_cond',
    near: '2019-08-16T16:00:00Z',
    title: 'Conductivity of the Logan River, µS/cm; rule: 1 per second',
    hoursBefore: 18,
    hoursAfter: 12,
    engine: { rate: { rules: [{ perSecondMax: 1 }] } },
  },
  {
    page: 'pulse',
    kind: 'pulse',
    collection: RIVER,
    series: 'FranklinBasin2014_cond',
    near: '2014-12-27T08:30:00Z',
    title: 'Conductivity of the Logan River, µS/cm',
    hoursBefore: 30,
    hoursAfter: 18,
  },
  {
    page: 'unit',
    kind: 'unit',
    collection: RIVER,
    series: 'FranklinBasin2014_temp',
    near: '2014-09-02T06:00:00Z',
    title: 'Temperature of the Logan River, °C; twelve hours of it given in °F',
    hoursBefore: 48,
    hoursAfter: 48,
    hoursInFahrenheit: 12,
  },
];

const options = new Command('pictures')
  .description('Draws the pictures of docs/kinds: moments of public series, found by the code that an agent runs.')
  .option('--datasets <folder>', 'folder of collections', process.env['FLOORWATCH_DATASETS'] ?? '../shared/datasets')
  .option('--out <folder>', 'where to put them', 'docs/kinds/pictures')
  .parse()
  .opts<{ readonly datasets: string; readonly out: string }>();

mkdirSync(options.out, { recursive: true });
for (const example of EXAMPLES) {
  try {
    const { sentence, svg } = draw(example, options.datasets);
    writeFileSync(path.join(options.out, `${example.page}.svg`), svg);
    process.stdout.write(`${example.page}: ${sentence}\n`);
  } catch (error) {
    process.stderr.write(`${example.page}: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}

/** @throws Error if the series is not there, or the anomaly is not found any more at its moment. */
function draw(example: Example, datasets: string): { readonly sentence: string; readonly svg: string } {
  const { kind, collection, series, title, engine = {} } = example;
  const data = [...seriesOf(path.join(datasets, collection))].find(({ name }) => name === series);
  if (data === undefined) throw new Error(`${collection} has no series ${series}`);
  const near = Date.parse(example.near);
  const { hoursInFahrenheit } = example;
  const plain = readingsOf(data);
  const readings = hoursInFahrenheit === undefined ? plain : partlyInFahrenheit(plain, near, hoursInFahrenheit);
  const found = detectOffline(engineConfigSchema.parse(engine), { site: 'public', gateway: collection }, readings).find(
    (episode) =>
      episode.phase === 'opened' && episode.anomalyKind === kind && Math.abs(episode.openedAt - near) <= NEAR_MS,
  );
  if (found === undefined) throw new Error(`no ${kind} is found in ${series} near ${example.near} any more`);
  const { openedAt } = found;
  const [from, to] = [openedAt - example.hoursBefore * HOUR_MS, openedAt + example.hoursAfter * HOUR_MS];
  const shown = readings.filter(({ eventTime }) => eventTime >= from && eventTime <= to);
  const svg = drawPicture({
    title,
    from,
    to,
    times: shown.map(({ eventTime }) => eventTime),
    values: shown.map(({ value }) => value),
    found: { at: openedAt, value: VALUELESS.has(kind) ? undefined : found.value },
    expected: found.expected,
    joinMs: 4 * medianStep(shown),
  });
  return { sentence: found.explanation, svg };
}

function readingsOf({ name, times, values }: LabelledSeries): Reading[] {
  const readings: Reading[] = [];
  for (const [index, value] of values.entries()) {
    if (Number.isNaN(value)) continue;
    const eventTime = epochMs(times[index]!);
    readings.push({ device: 'public', metric: name.replaceAll('/', ' '), eventTime, value, quality: 'good' });
  }
  return readings;
}

/** What the intake makes of a device that sends °F from `from` on for so many hours. */
function partlyInFahrenheit(readings: readonly Reading[], from: number, hours: number): Reading[] {
  const units = new SensorUnits([]);
  const to = from + hours * HOUR_MS;
  return readings.map((reading) => {
    const isFahrenheit = reading.eventTime >= from && reading.eventTime < to;
    const value = isFahrenheit ? 32 + 1.8 * reading.value : reading.value;
    return units.sort(0, Object.assign({}, reading, { value, unit: isFahrenheit ? '°F' : '°C' }));
  });
}

function medianStep(readings: readonly Reading[]): number {
  const steps = readings.slice(1).map(({ eventTime }, index) => eventTime - readings[index]!.eventTime);
  return steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? HOUR_MS;
}
