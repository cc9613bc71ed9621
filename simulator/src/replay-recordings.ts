import { type DurationMs, type EpochMs, epochMs } from '@floorwatch/contracts';
import { EXIT, StartError } from '@floorwatch/runtime';

import { limits } from './limits.ts';
import { Timeline } from './publish/timeline.ts';
import { describeContents, examine, speedFor } from './replay/examine.ts';
import { mergeByTime } from './replay/merge-by-time.ts';
import { Recording, type RecordingOptions } from './replay/recording.ts';
import type { TimeZone } from './replay/time-zone.ts';
import type { DateOrder } from './replay/timestamps.ts';
import { count, type RecordingSummary } from './report.ts';
import type { SourceReading } from './sensor.ts';
import { runSession, type SessionOptions } from './session.ts';

export interface ReplayOptions extends SessionOptions {
  readonly files: readonly string[];
  /** How many times faster than it was recorded; Infinity: as fast as readings are taken; auto: chosen from the files. */
  readonly speed: number | 'auto';
  /** `file`: event times as recorded. `now`: the moments at which readings are due. */
  readonly times: 'file' | 'now';
  readonly device?: string;
  readonly timestampColumn?: string;
  readonly columns?: readonly string[];
  readonly dateOrder?: DateOrder;
  /** Of times that name none; undefined: UTC. */
  readonly zone?: TimeZone;
  /** Read the files and say what they hold, and publish nothing. */
  readonly dryRun: boolean;
  /** For files without times: from row to row, and the time of the first row (else now). */
  readonly interval?: DurationMs;
  readonly start?: EpochMs;
}

/**
 * Publishes recordings as if live.
 *
 * @returns the exit code.
 * @throws StartError if a file can't be understood or the options don't go together.
 */
export async function replayRecordings(options: ReplayOptions, signal: AbortSignal): Promise<number> {
  if (options.files.length > limits.replayFilesMax) {
    throw new StartError(
      'usage',
      `${options.files.length} files: at most ${limits.replayFilesMax} can be replayed together`,
    );
  }
  if (options.payload === 'value' && options.times === 'file') {
    throw new StartError('usage', '--payload value: a bare number has no event time; use --times now');
  }
  const recordings: Recording[] = [];
  for (const file of options.files) recordings.push(await Recording.open(file, recordingOptions(options)));
  for (const recording of recordings) process.stderr.write(`${describe(recording, options.zone)}\n`);
  const speed =
    options.speed === 'auto' || options.dryRun ? await lookThrough(recordings, options, signal) : options.speed;
  if (options.dryRun) return EXIT.ok;
  const bytes = recordings.reduce((sum, recording) => sum + recording.bytes, 0);
  return runSession(
    'replay',
    options,
    false,
    async (now) => {
      const merged = mergeByTime(recordings.map((recording) => recording.batches()));
      // The first reading's time is what the clock of the replay begins with.
      const first = await merged.next();
      const origin = first.done === true ? now : (first.value[0]?.at ?? now);
      return {
        batches: startingWith(first, merged),
        timeline: new Timeline(origin, now, speed, options.times === 'file' ? 'source' : 'now'),
        share: () => recordings.reduce((sum, recording) => sum + recording.bytesTaken, 0) / Math.max(1, bytes),
        summary: () => ({ recordings: recordings.map(summarise) }),
      };
    },
    signal,
  );
}

/** Reads the files from beginning to end, says what they hold and how long that takes, and returns the speed. */
async function lookThrough(
  recordings: readonly Recording[],
  { speed: asked, dryRun, json }: ReplayOptions,
  signal: AbortSignal,
): Promise<number> {
  const contents = await examine(recordings, signal);
  const speed = asked === 'auto' ? speedFor(contents) : asked;
  if (dryRun && json)
    process.stdout.write(`${JSON.stringify({ ...contents, speed: speed === Infinity ? 'max' : speed })}\n`);
  process.stderr.write(`${describeContents(contents, speed)}\n`);
  return speed;
}

function recordingOptions(options: ReplayOptions): RecordingOptions {
  const { device, timestampColumn, columns, dateOrder, zone, interval, start, times } = options;
  if (interval !== undefined && start === undefined && times === 'file') {
    throw new StartError(
      'usage',
      '--interval: files without times have no event times either; use --times now, or give --start',
    );
  }
  return {
    ...(device === undefined ? {} : { device }),
    ...(timestampColumn === undefined ? {} : { timestampColumn }),
    ...(columns === undefined ? {} : { columns }),
    ...(dateOrder === undefined ? {} : { dateOrder }),
    ...(zone === undefined ? {} : { timeZone: zone }),
    ...(interval === undefined ? {} : { withoutTimes: { interval, start: start ?? epochMs(Date.now()) } }),
  };
}

async function* startingWith(
  first: IteratorResult<readonly SourceReading[], void>,
  rest: AsyncGenerator<readonly SourceReading[], void>,
): AsyncGenerator<readonly SourceReading[], void> {
  try {
    if (first.done !== true) yield first.value;
    yield* rest;
  } finally {
    await rest.return();
  }
}

function summarise({ file, device, counts, plan }: Recording): RecordingSummary {
  const { cells, readings, missing, notANumber, badTimestamp, longRows } = counts;
  return { file, device, cells, readings, missing, notANumber, badTimestamp, longRows, skippedColumns: plan.skipped };
}

function describe({ file, device, plan, bytes }: Recording, zone: TimeZone | undefined): string {
  const metrics = plan.values.map(({ metric }) => metric);
  const shown =
    metrics.length > 8 ? `${metrics.slice(0, 8).join(', ')} and ${metrics.length - 8} more` : metrics.join(', ');
  const left = plan.skipped.length > 0 ? `; left out: ${plan.skipped.join(', ')}` : '';
  const format = plan.time?.format;
  const local = format?.textual === true ? `, ${zone?.name ?? 'UTC'} unless a zone is written` : '';
  const times = format === undefined ? 'no times, rows follow --interval' : `times: ${format.name}${local}`;
  return `${file} (${count(bytes / 1_024)} KiB of text) as ${device}: ${shown}${left}; ${times}`;
}
