import { createReadStream } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

import { type EpochMs, epochMs, nameSchema, type Reading } from '@floorwatch/contracts';
import { messageOf, StartError } from '@floorwatch/runtime';
import { parse } from 'csv-parse';
import { z } from 'zod';

import { SensorRegistry } from '../ingest/sensor-registry.ts';
import { SensorUnits } from '../ingest/sensor-units.ts';
import { UnitNames } from '../ingest/unit-names.ts';
import type { UnitsConfig } from '../ingest/units-config.ts';
import { statsLimits } from '../stats/limits.ts';
import type { BacktestInput, RecordingCounts } from './backtest-input.ts';

/** A number of seconds since 1970 is below this until the year 5138; milliseconds are above it since 1973. */
const SECONDS_MAX = 1e11;
/** Characters of one line. A longer one means a file of another kind. */
const LINE_LENGTH_MAX = 64 * 1024;
const DATE = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(Z|[+-]\d{2}:?\d{2})?)?$/;

const lineSchema = z.object({
  device: nameSchema,
  metric: nameSchema,
  value: z.number(),
  ts: z.union([z.number(), z.string()]),
  unit: z.string().exactOptional(),
});

/** A recording as the input of a backtest, which begins with nothing known; see {@link readRecording}. */
export const openRecording = (file: string, config: UnitsConfig): BacktestInput => ({
  state: undefined,
  hasClock: false,
  async *items(counts) {
    const names = new UnitNames(config.aliases);
    const units = new SensorUnits(config.rules.map((rule) => ({ ...rule, unit: names.nameOf(rule.unit) })));
    const sensors = new SensorRegistry(Infinity);
    for await (const { unit, ...reading } of readRecording(file, counts)) {
      const named: Reading = unit === undefined ? reading : { ...reading, unit: names.nameOf(unit) };
      yield { kind: 'reading', reading: units.sort(sensors.readmit(reading.device, reading.metric), named) };
    }
  },
});

/**
 * The readings of a recording, in its order. CSV (`.csv`, `.csv.gz`): a header; the first column is the time, every other one a metric
 * of the device that is named like the file. NDJSON (`.ndjson`, `.jsonl`, also `.gz`): `{"device", "metric", "value", "ts"}` per line.
 * Times are epoch seconds or milliseconds, or dates with the year first, UTC unless a zone is written.
 *
 * @throws StartError if the file can't be read or is of no such kind.
 */
export async function* readRecording(file: string, counts: RecordingCounts): AsyncGenerator<Reading, void> {
  const name = path.basename(file).replace(/\.gz$/, '');
  const kind = path.extname(name);
  if (!['.csv', '.ndjson', '.jsonl'].includes(kind)) {
    throw new StartError(
      'usage',
      `${file}: must be a data folder of an agent, or end in .csv, .ndjson or .jsonl, or one of these and .gz`,
    );
  }
  const input = createReadStream(file);
  const bytes = file.endsWith('.gz') ? input.pipe(createGunzip()) : input;
  // A pipe does not hand on the errors of its source.
  if (bytes !== input) input.on('error', (error) => bytes.destroy(error));
  try {
    for await (const reading of kind === '.csv'
      ? csvReadings(bytes, name.slice(0, -4), counts)
      : lineReadings(bytes, counts)) {
      counts.readings += 1;
      yield reading;
    }
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError('usage', `${file}: can't be read: ${messageOf(error)}`, { cause: error });
  } finally {
    input.destroy();
  }
}

async function* csvReadings(bytes: Readable, device: string, counts: RecordingCounts): AsyncGenerator<Reading, void> {
  const rows = bytes.pipe(parse({ bom: true, relax_column_count: true, trim: true, max_record_size: LINE_LENGTH_MAX }));
  bytes.on('error', (error) => rows.destroy(error));
  let metrics: string[] | undefined;
  for await (const row of rows as AsyncIterable<string[]>) {
    const [time = '', ...cells] = row;
    if (metrics === undefined) {
      metrics = cells;
      continue;
    }
    const eventTime = instantOf(time);
    for (const [column, metric] of metrics.entries()) {
      const cell = cells[column] ?? '';
      const value = cell === '' ? NaN : Number(cell);
      if (eventTime === undefined || !usable(value)) counts.skipped += 1;
      else yield { device, metric, eventTime, value, quality: 'good' };
    }
  }
}

async function* lineReadings(bytes: Readable, counts: RecordingCounts): AsyncGenerator<Reading, void> {
  const lines = createInterface({ input: bytes, crlfDelay: Infinity });
  for await (const line of lines) {
    if (line.trim() === '') continue;
    const reading = line.length > LINE_LENGTH_MAX ? undefined : parseLine(line);
    if (reading === undefined) counts.skipped += 1;
    else yield reading;
  }
}

function parseLine(line: string): Reading | undefined {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return undefined;
  }
  const parsed = lineSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const { ts, ...rest } = parsed.data;
  const eventTime = instantOf(String(ts));
  return eventTime === undefined || !usable(rest.value) ? undefined : { ...rest, eventTime, quality: 'good' };
}

const usable = (value: number): boolean => Math.abs(value) <= statsLimits.valueAbsMax;

/** The instant that `text` says, or undefined. */
function instantOf(text: string): EpochMs | undefined {
  if (/^-?\d+(\.\d+)?$/.test(text)) {
    const number = Number(text);
    return epochMs(Math.round(Math.abs(number) < SECONDS_MAX ? number * 1_000 : number));
  }
  const match = DATE.exec(text);
  if (match === null) return undefined;
  const [, day = '', time = '00:00', zone = 'Z'] = match;
  const at = Date.parse(`${day}T${time}${zone}`);
  return Number.isNaN(at) ? undefined : epochMs(at);
}
