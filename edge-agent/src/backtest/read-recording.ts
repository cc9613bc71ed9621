import { createReadStream } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

import { nameSchema, type Reading } from '@floorwatch/contracts';
import { messageOf, StartError } from '@floorwatch/runtime';
import { parse } from 'csv-parse';
import { z } from 'zod';

import { SENSOR_SHARES_DEFAULT } from '../ingest/sensor-shares.ts';
import { SensorRegistry } from '../ingest/sensor-registry.ts';
import { SensorUnits } from '../ingest/sensor-units.ts';
import { UnitNames } from '../ingest/unit-names.ts';
import type { UnitsConfig } from '../ingest/units-config.ts';
import { statsLimits } from '../stats/limits.ts';
import type { BacktestInput, RecordingCounts } from './backtest-input.ts';
import { type CsvLayout, csvLayout } from './csv-layout.ts';
import { recordedTime } from './recorded-time.ts';

/** Characters of one line. A longer one means a file of another kind. */
const LINE_LENGTH_MAX = 64 * 1024;

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
    const sensors = new SensorRegistry(Infinity, SENSOR_SHARES_DEFAULT);
    for await (const { unit, ...reading } of readRecording(file, counts)) {
      const named: Reading = unit === undefined ? reading : { ...reading, unit: names.nameOf(unit) };
      yield { kind: 'reading', reading: units.sort(sensors.readmit(reading.device, reading.metric), named) };
    }
  },
});

/**
 * The readings of a recording, in its order. CSV (`.csv`, `.csv.gz`): a header that names the time and metrics of the device that is named
 * like the file, or `device`, `metric`, `value` and perhaps `unit` (see {@link csvLayout}). NDJSON (`.ndjson`, `.jsonl`, also `.gz`):
 * `{"device", "metric", "value", "ts"}` per line. Times: see {@link recordedTime}.
 *
 * @throws StartError if the file can't be read, is of no such kind or holds no reading.
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
    if (counts.readings === 0) throw new StartError('usage', noReading(counts));
  } catch (error) {
    if (error instanceof StartError) throw new StartError('usage', `${file}: ${error.message}`, { cause: error });
    throw new StartError('usage', `${file}: can't be read: ${messageOf(error)}`, { cause: error });
  } finally {
    input.destroy();
  }
}

const noReading = ({ skipped }: RecordingCounts): string =>
  skipped === 0
    ? 'holds no reading'
    : `holds no reading: none of its ${skipped} cells or lines has a value and a time such as 2026-01-05 00:00:00, 2026-01-05T00:00:00+01:00 ` +
      'or 1767571200';

async function* csvReadings(bytes: Readable, device: string, counts: RecordingCounts): AsyncGenerator<Reading, void> {
  const rows = bytes.pipe(parse({ bom: true, relax_column_count: true, trim: true, max_record_size: LINE_LENGTH_MAX }));
  bytes.on('error', (error) => rows.destroy(error));
  let layout: CsvLayout | undefined;
  for await (const row of rows as AsyncIterable<string[]>) {
    if (layout === undefined) {
      layout = csvLayout(row, device);
      continue;
    }
    const eventTime = recordedTime(row[layout.time] ?? '');
    for (const { cell, ...sensor } of layout.cellsOf(row)) {
      const value = cell === '' ? NaN : Number(cell);
      if (eventTime === undefined || !usable(value)) counts.skipped += 1;
      else yield { ...sensor, eventTime, value, quality: 'good' };
    }
  }
}

async function* lineReadings(bytes: Readable, counts: RecordingCounts): AsyncGenerator<Reading, void> {
  const lines = createInterface({ input: bytes, crlfDelay: Infinity });
  for await (const line of lines) {
    // Some programs begin a file with a byte-order mark.
    const text = line.replace(/^\uFEFF/, '').trim();
    if (text === '') continue;
    const reading = text.length > LINE_LENGTH_MAX ? undefined : parseLine(text);
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
  const eventTime = recordedTime(String(ts));
  return eventTime === undefined || !usable(rest.value) ? undefined : { ...rest, eventTime, quality: 'good' };
}

const usable = (value: number): boolean => Math.abs(value) <= statsLimits.valueAbsMax;
