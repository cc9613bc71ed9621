import { durationMs, epochMs, lastNumber, parseSensorId, type Row } from '@floorwatch/contracts';
import { pause } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import type { Lane } from '../partition-parts.ts';
import type { LiveState, Partition, StreamMessage } from '../partition.ts';
import type { Store } from '../write/store.ts';
import { RowComparison, timeOf } from './compare-rows.ts';
import { WindowComparison, type WindowName } from './compare-windows.ts';
import { HeldNumbers } from './held-numbers.ts';
import { PatientStore, ReprocessError } from './patient-store.ts';
import { nameOf, readMessage, Replay, type ReplayGap } from './replay.ts';
import type { ReplayOutput } from './replay-output.ts';
import type { ReprocessCounts, ReprocessRequest, ReprocessStep } from './reprocess-state.ts';
import type { StreamExtent, StreamPass } from './stream-pass.ts';

/** One partition that is to be made again. */
export interface PartitionJob {
  readonly lane: Lane;
  readonly stream: StreamPass;
  readonly store: Pick<Store, 'windows' | 'windowsByTime' | 'scan'>;
  readonly request: ReprocessRequest;
  readonly counts: ReprocessCounts;
  readonly tell: (step: Omit<ReprocessStep, 'partition'>) => void;
  readonly unfinished: (gateways: readonly { readonly gateway: string; readonly why: ReplayGap }[]) => void;
}

/**
 * Makes the windows of one partition again: holds its live reading, feeds what the stream holds up to the live position to a fresh state, and
 * lets out what differs from the store and is not behind it. What goes out takes the way of all output: outbox, checkpoint, writer.
 *
 * @throws ReprocessError; the signal's reason if it aborts. What went out until then stays and is right.
 */
export async function reprocessPartition(job: PartitionJob, signal: AbortSignal): Promise<void> {
  const { runner } = job.lane;
  await waitUntil(job, () => runner.resting || !runner.partition.outbox.comparing, signal);
  if (runner.partition.outbox.comparing) {
    throw new ReprocessError(
      'it was started from the checkpoint before the newest; let the processor run until it has compared its rows',
    );
  }
  for (const margin of processorLimits.replayMargins) {
    if (runner.partition.cursor.created === null) return;
    if (await attempt(job, margin, signal)) return;
  }
  throw new ReprocessError(
    'the server drops the beginning of the stream faster than it can be read; try again when less comes in',
  );
}

/** Returns false if the stream lost the beginning meanwhile. `margin`: the part of the stream at its beginning that is left out. */
async function attempt(job: PartitionJob, margin: number, signal: AbortSignal): Promise<boolean> {
  const { runner } = job.lane;
  const { partition } = runner;
  const extent = await extentOf(job);
  const first = extent.first + Math.floor(margin * (partition.cursor.position - extent.first));
  const survey = new Survey(job, signal);
  // Most of it while live reading goes on.
  await survey.extend(partition.live, first, partition.cursor.position);
  const release = runner.hold();
  try {
    await comeToRest(job, signal);
    const through = partition.cursor.position;
    const { live } = partition;
    await survey.extend(live, first, through);
    if ((await extentOf(job)).first > first) return false;
    await replayAll(job, { live, held: survey.held, first, through }, signal);
    return true;
  } finally {
    release();
  }
}

/** The stream, if it is the one that the partition has read. */
async function extentOf({ stream, lane }: PartitionJob): Promise<StreamExtent> {
  const { cursor } = lane.runner.partition;
  const extent = await stream.look();
  if (extent === undefined || extent.created !== cursor.created || extent.last < cursor.position) {
    throw new ReprocessError(
      'the stream was lost since the last checkpoint; let the processor read it first, then try again',
    );
  }
  return extent;
}

/** Which numbers of which epochs the stream holds, as far as the live state took them. */
class Survey {
  readonly held = new HeldNumbers();
  readonly #job: PartitionJob;
  readonly #signal: AbortSignal;
  #position: number | undefined;

  constructor(job: PartitionJob, signal: AbortSignal) {
    this.#job = job;
    this.#signal = signal;
  }

  /** Looks at what was not looked at yet. */
  async extend({ sources }: LiveState, first: number, through: number): Promise<void> {
    const { lane, stream, tell } = this.#job;
    const known = new Set(sources.flatMap((source) => source.epochs.map(([epoch]) => `${nameOf(source)} ${epoch}`)));
    const take = (message: StreamMessage): void => {
      tell({ phase: 'surveying', position: message.sequence, through });
      const read = readMessage(message);
      if (read === undefined || read.address.lane !== 'telemetry') return;
      const { epoch, records } = read.batch;
      const name = nameOf(read.address);
      if (known.has(`${name} ${epoch}`)) this.held.add(name, epoch, records[0]!.number, lastNumber(records.at(-1)!));
    };
    const from = Math.max(first, (this.#position ?? 0) + 1);
    await stream.read(lane.runner.partition.number, { from, through }, take, this.#signal);
    this.#signal.throwIfAborted();
    this.#position = through;
  }
}

/** Resolves when reading rests, and all that was read so far is in the store and in the checkpoint. */
async function comeToRest(job: PartitionJob, signal: AbortSignal): Promise<void> {
  const { runner, reader } = job.lane;
  const { partition } = runner;
  await waitUntil(
    job,
    () => {
      if (!runner.resting) reader?.lookAgain();
      return runner.resting && unfinishedIn(partition) === 0 && !partition.dirty;
    },
    signal,
  );
}

/** What is on its way to the store, or waits for it. */
const unfinishedIn = ({ outbox, windows }: Partition): number =>
  outbox.size + windows.lateWindows.rollups + windows.losses().length;

/** @throws ReprocessError if nothing gets better for too long. */
async function waitUntil({ lane, tell }: PartitionJob, holds: () => boolean, signal: AbortSignal): Promise<void> {
  const { partition } = lane.runner;
  const left = (): number => unfinishedIn(partition);
  let [least, since] = [left(), performance.now()];
  while (!holds()) {
    signal.throwIfAborted();
    if (left() < least) [least, since] = [left(), performance.now()];
    if (performance.now() - since > processorLimits.replayStoreMsMax) {
      const trouble = lane.writer.trouble?.message ?? 'no checkpoint, or no end of reading';
      throw new ReprocessError(
        `${left()} rows wait for the store, and nothing moves (${trouble}); try again when it does`,
      );
    }
    const { position } = partition.cursor;
    tell({ phase: 'waiting', position, through: position });
    await pause(WAIT_MS, signal);
  }
}

const WAIT_MS = 50;

async function replayAll(
  job: PartitionJob,
  from: { readonly live: LiveState; readonly held: HeldNumbers; readonly first: number; readonly through: number },
  signal: AbortSignal,
): Promise<void> {
  const { lane, stream, request, counts, tell } = job;
  const { live, held, first, through } = from;
  const { partition } = lane.runner;
  const replay = new Replay({ live, held, ...lane.config });
  const output = outputOf(job, signal);
  const store = new PatientStore(job.store, signal);
  const windows = new WindowComparison(store, output, counts.windows);
  const anomalies = new RowComparison(store, output, counts.anomalies, signal);
  const counted = new RowComparison(store, output, counts.counted, signal);
  const isInside = ({ start, size }: WindowName): boolean => request.from <= start && start + size <= request.to;
  const isInRange = (at: number): boolean => request.from <= at && at < request.to;
  const putOther = async (row: Row): Promise<void> => {
    counts.others += 1;
    if (!output.isDry) await output.put(row);
  };
  const correct = async (): Promise<void> =>
    windows.correct(replay.lateWindows, (window) => isInside(window) && replay.isWhole(window));

  await stream.read(
    partition.number,
    { from: first, through },
    async (message) => {
      tell({ phase: 'replaying', position: message.sequence, through });
      const rows = replay.apply(message);
      const inside = rows.windows.filter(isInside);
      const whole = inside.filter((window) => replay.isWhole(window));
      counts.windows.partial += inside.length - whole.length;
      await windows.add(whole);
      for (const row of rows.told) {
        if (isInRange(timeOf(row))) await (row.table === 'anomaly' ? anomalies : counted).add(row);
      }
      for (const row of rows.reports) if (isInRange(row.at)) await putOther(row);
      if (replay.lateWindows.rollups >= processorLimits.replayedLateRollupsMax) await correct();
    },
    signal,
  );
  signal.throwIfAborted();
  await correct();
  await windows.end();
  await anomalies.compare();
  await counted.compare();
  for (const [key, readings] of replay.lateCounts ?? []) {
    const row = lateRow(key, readings);
    if (row !== undefined && isInside(row) && replay.isWhole(row)) await putOther(row);
  }
  job.unfinished(replay.unfinished());
  tell({ phase: 'writing', position: through, through });
  if (!output.isDry) for (const loss of replay.losses) partition.markAgain(loss);
  await waitUntil({ ...job, tell: () => undefined }, () => unfinishedIn(partition) === 0, signal);
}

function lateRow(key: string, readings: number): Extract<Row, { table: 'late' }> | undefined {
  const [id = '', size, start] = key.split('\n');
  const sensor = parseSensorId(id);
  if (sensor === undefined) return undefined;
  return { table: 'late', sensor, size: durationMs(Number(size)), start: epochMs(Number(start)), readings };
}

function outputOf(job: PartitionJob, signal: AbortSignal): ReplayOutput {
  const { partition } = job.lane.runner;
  return {
    isDry: job.request.dryRun,
    unsent: (key) => {
      const row = partition.outbox.get(key);
      return row === 'unchecked' ? undefined : row;
    },
    async put(row) {
      if (partition.outbox.size >= processorLimits.outboxRowsMax) {
        await waitUntil(job, () => partition.outbox.size < processorLimits.outboxRowsResume, signal);
      }
      partition.putAgain(row);
    },
  };
}
