import { createReadStream } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip, gunzipSync, constants as zlib } from 'node:zlib';

import { type DurationMs, type EpochMs, epochMs } from '@floorwatch/contracts';
import { messageOf, StartError } from '@floorwatch/runtime';
import { type Options, parse, type Parser } from 'csv-parse';
import { parse as parseSync } from 'csv-parse/sync';

import { limits } from '../limits.ts';
import type { PublishedSensor, SourceReading } from '../sensor.ts';
import { isMissing, parseNumber } from './cells.ts';
import { type ColumnPlan, planColumns, type PlanOptions, usableName } from './column-plan.ts';
import { detectDelimiter } from './csv-dialect.ts';

export interface RecordingOptions extends PlanOptions {
  /** Device name; by default the file's name without its endings. */
  readonly device?: string;
  /** For files without times: the time of the first row, and from each row to the next. */
  readonly withoutTimes?: { readonly start: EpochMs; readonly interval: DurationMs };
}

/** Why cells of value columns became no reading. `cells = readings + the others`. */
export interface RecordingCounts {
  cells: number;
  readings: number;
  /** Empty, or marked as missing. */
  missing: number;
  notANumber: number;
  /** In rows whose time can't be read. */
  badTimestamp: number;
  /** Rows that are longer than the header; what is too much in them is ignored and not among `cells`. */
  longRows: number;
}

/** A file of readings, one row at a time. */
export class Recording {
  readonly file: string;
  readonly device: string;
  /** Size of the text, unpacked. */
  readonly bytes: number;
  readonly plan: ColumnPlan;
  readonly delimiter: string;
  counts = noCounts();
  readonly #options: RecordingOptions;
  readonly #gzip: boolean;
  #parser: Parser | undefined;

  private constructor(
    file: string,
    bytes: number,
    gzip: boolean,
    delimiter: string,
    plan: ColumnPlan,
    options: RecordingOptions,
  ) {
    this.file = file;
    this.device = options.device ?? deviceName(file);
    this.bytes = bytes;
    this.delimiter = delimiter;
    this.plan = plan;
    this.#gzip = gzip;
    this.#options = options;
  }

  /**
   * Looks at the beginning of a file, and decides how to read it.
   *
   * @throws StartError if the file can't be read, is no CSV, or leaves open what only a person can say.
   */
  static async open(file: string, options: RecordingOptions): Promise<Recording> {
    const { bytes, gzip, text } = await readBeginning(file);
    if (text.includes('\0')) {
      throw new StartError(
        'usage',
        `${file}: is not text in UTF-8; export it as CSV in UTF-8, or compress that with gzip`,
      );
    }
    const delimiter = detectDelimiter(text);
    // The sample may end within a quoted text; its last record is then left out.
    const sample = parseSync(text, { ...parserOptions(delimiter), skip_records_with_error: true });
    const rows = sample.map((row) => row.map((cell) => cell.trim()));
    const plan = planColumns(file, rows, options);
    if (plan.time === undefined && options.withoutTimes === undefined) {
      throw new StartError(
        'usage',
        `${file}: no column of times was found; name it with --timestamp-column, or give the time from row to row, such as --interval 1m`,
      );
    }
    return new Recording(file, bytes, gzip, delimiter, plan, options);
  }

  /** Bytes of text taken so far, of {@link bytes}, to show progress. */
  get bytesTaken(): number {
    return Math.min(this.bytes, this.#parser?.info.bytes_records ?? 0);
  }

  /** Forgets what was counted, so that it can be read once more. */
  restart(): void {
    this.counts = noCounts();
    this.#parser = undefined;
  }

  /**
   * The readings in the order of the file, whatever their times.
   *
   * @throws Error that names the file if it turns out to be damaged; what came before it has been given out.
   */
  async *batches(): AsyncGenerator<SourceReading[], void> {
    const sensors = this.plan.values.map(({ metric, unit }): PublishedSensor =>
      unit === undefined ? { device: this.device, metric } : { device: this.device, metric, unit },
    );
    const rows = this.#openRows();
    let batch: SourceReading[] = [];
    let first = true;
    let index = 0;
    try {
      for await (const row of rows as AsyncIterable<string[]>) {
        const isHeader = first && this.plan.header;
        first = false;
        if (isHeader) continue;
        this.#read(row, index, sensors, batch);
        index += 1;
        if (index % limits.csvBatchRows === 0 && batch.length > 0) {
          yield batch;
          batch = [];
        }
      }
    } catch (error) {
      if (batch.length > 0) yield batch;
      throw new Error(`${this.file}: damaged after row ${index}: ${messageOf(error)}`, { cause: error });
    }
    if (batch.length > 0) yield batch;
  }

  #openRows(): Parser {
    const parser = parse(parserOptions(this.delimiter));
    this.#parser = parser;
    const stages = this.#gzip ? [createGunzip(), parser] : [parser];
    // An error anywhere destroys the parser with it, which is where the loop above hears of it.
    pipeline([createReadStream(this.file), ...stages], () => undefined);
    return parser;
  }

  #read(row: readonly string[], index: number, sensors: readonly PublishedSensor[], out: SourceReading[]): void {
    const { values, decimalComma, width } = this.plan;
    const counts = this.counts;
    if (row.length > width) counts.longRows += 1;
    counts.cells += values.length;
    const at = this.#timeOf(row, index);
    for (const [i, { column }] of values.entries()) {
      const cell = (row[column] ?? '').trim();
      if (isMissing(cell)) {
        counts.missing += 1;
        continue;
      }
      if (at === undefined) {
        counts.badTimestamp += 1;
        continue;
      }
      const value = parseNumber(cell, decimalComma);
      const sensor = sensors[i];
      if (value === undefined || sensor === undefined) {
        counts.notANumber += 1;
        continue;
      }
      counts.readings += 1;
      out.push({ sensor, at, value });
    }
  }

  #timeOf(row: readonly string[], index: number): EpochMs | undefined {
    const { time } = this.plan;
    const { timeZone, withoutTimes } = this.#options;
    if (time !== undefined)
      return time.format.parse(time.columns.map((column) => (row[column] ?? '').trim()).join(' '), timeZone);
    return withoutTimes && epochMs(withoutTimes.start + index * withoutTimes.interval);
  }
}

const noCounts = (): RecordingCounts => ({
  cells: 0,
  readings: 0,
  missing: 0,
  notANumber: 0,
  badTimestamp: 0,
  longRows: 0,
});

const parserOptions = (delimiter: string): Options => ({
  delimiter,
  bom: true,
  relax_quotes: true,
  relax_column_count: true,
  skip_empty_lines: true,
  record_delimiter: ['\r\n', '\n', '\r'],
  max_record_size: limits.csvRecordLengthMax,
});

/** The first {@link limits.csvSampleBytes} of a file, unpacked, up to its last whole line. */
async function readBeginning(file: string): Promise<{ bytes: number; gzip: boolean; text: string }> {
  try {
    const info = await stat(file);
    if (!info.isFile()) throw new Error('it is not a file');
    const handle = await open(file);
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(limits.csvSampleBytes), 0, limits.csvSampleBytes, 0);
      const packed = buffer.subarray(0, bytesRead);
      const gzip = packed[0] === 0x1f && packed[1] === 0x8b;
      const unpacked = gzip ? unpackBeginning(packed) : packed;
      const whole = bytesRead === info.size && unpacked.length < limits.csvSampleBytes;
      const text = unpacked.subarray(0, limits.csvSampleBytes).toString('utf8');
      return {
        bytes: gzip ? await unpackedSize(handle, info.size) : info.size,
        gzip,
        text: whole ? text : text.slice(0, lastLineEnd(text)),
      };
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new StartError('usage', `recording ${file} can't be read: ${messageOf(error)}`, { cause: error });
  }
}

/** The size that the last four bytes of a gzip file tell (RFC 1952 §2.3.1): modulo 4 GiB, and of the last part of a joined file. */
async function unpackedSize(handle: FileHandle, size: number): Promise<number> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, Math.max(0, size - 4));
  return bytesRead === 4 ? buffer.readUInt32LE() : 0;
}

/** Unpacks a cut-off gzip file as far as it goes; deflate packs at most 1,032 to 1, which bounds the output. */
const unpackBeginning = (packed: Buffer): Buffer =>
  gunzipSync(packed, { finishFlush: zlib.Z_SYNC_FLUSH, maxOutputLength: 1_100 * packed.length });

function lastLineEnd(text: string): number {
  const end = Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\r'));
  return end < 0 ? text.length : end + 1;
}

/** The name of a file without its folder and endings, as a device. */
function deviceName(file: string): string {
  const name = usableName(
    basename(file)
      .replace(/\.gz$/i, '')
      .replace(/\.(csv|tsv|txt)$/i, ''),
  );
  return name === '' ? 'recording' : name;
}
