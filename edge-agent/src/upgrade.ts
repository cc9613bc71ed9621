import {
  type Collector,
  type DurationMs,
  type Lane,
  type Reading,
  ROLLUP_MS,
  type RollupSensor,
  rollupStart,
  sensorKey,
} from '@floorwatch/contracts';

import type { LaneSpool } from './lane-spool.ts';
import type { RecordWriter } from './record-writer.ts';
import type { EngineOutput, SensorEngine } from './sensor-engine.ts';
import { ReplayedRollups } from './snapshot/replayed-rollups.ts';
import { decodeSpooled, type SpooledRecord } from './spooled-record.ts';

/** A bucket that a record of the lane tells of. */
interface ToldBucket {
  readonly sensor: RollupSensor;
  readonly start: number;
  readonly end: number;
  /** Position of the item that the record came from. */
  readonly position: number;
}

/** What the telemetry lane has of the items behind the snapshot. */
interface Told {
  /** Buckets as wide as this release's, by position. */
  readonly byPosition: Map<number, ToldBucket[]>;
  /** Those of another width, by sensor. */
  readonly otherWidths: Map<string, ToldBucket[]>;
  /** Positions between these two, neither included, have records that the lane does not hold any more. */
  readonly gone: { readonly after: number; readonly before: number }[];
}

/**
 * The outputs of a replay by an engine that judges in another way than the one before: with another configuration, by other rules, or
 * without what that one had learned. What that one has put into the lanes stands; what is missing there must come, and nothing may come twice.
 *
 * - Rollups: the records that are there count every reading of their buckets up to the position that they came from. The rest goes out at
 *   the end, open rollups too.
 * - Episodes: of items that were certainly processed before, those that are in the lane count; of later ones, those that this engine finds.
 *   At the end all are closed, and the engine opens anew what it finds still wrong.
 * - Where a lane had to let go of records, or dropped them, what this engine lets out counts as told: nothing else than how readings are judged
 *   has changed as a rule, and then it is the same.
 * - Ticks stay away: the next one says as much.
 */
export class Upgrade implements Collector<EngineOutput> {
  readonly #engine: SensorEngine;
  readonly #writer: RecordWriter;
  readonly #told: Told;
  /** Position of the start from which on the engine judges alone, or the earliest that it can have. */
  readonly end: number;
  readonly #rollups: ReplayedRollups;
  /** Rollups of another width that have not gone out yet. */
  readonly #early: EngineOutput[] = [];
  /** Items up to here were processed before. */
  readonly #processed: number;
  #position = 0;

  private constructor(engine: SensorEngine, writer: RecordWriter, told: Told, end: number) {
    this.end = end;
    this.#engine = engine;
    this.#writer = writer;
    this.#told = told;
    this.#rollups = new ReplayedRollups(engine);
    this.#processed = Math.max(writer.through('anomaly'), writer.through('telemetry'));
  }

  /**
   * Reads what the lanes have of the items from behind the snapshot to before position `end`, and takes in the episodes among it.
   *
   * @param lanes each with the position in it from which on its records come from items behind the snapshot.
   * @param early rollups that the engine could not take up from the snapshot, and their width.
   */
  static async begin(
    engine: SensorEngine,
    writer: RecordWriter,
    lanes: Readonly<Record<Lane, { readonly spool: LaneSpool; readonly from: number }>>,
    end: number,
    early: { readonly rollups: readonly EngineOutput[]; readonly bucketMs: DurationMs },
  ): Promise<Upgrade> {
    for await (const { record } of recordsOf(lanes.anomaly, end)) {
      if (record.kind !== 'anomaly') continue;
      const { number: _, ...episode } = record;
      writer.told.learn(episode);
    }
    const told: Told = { byPosition: new Map(), otherWidths: new Map(), gone: [] };
    let after = 0;
    let isGone = lanes.telemetry.from < lanes.telemetry.spool.first;
    const missing = (): void => void (isGone = true);
    for await (const spooled of recordsOf(lanes.telemetry, end, missing)) {
      if (isGone) told.gone.push({ after, before: spooled.position });
      isGone = false;
      after = spooled.position;
      for (const bucket of bucketsOf(spooled)) {
        if (bucket.end - bucket.start === ROLLUP_MS) append(told.byPosition, bucket.position, bucket);
        else append(told.otherWidths, sensorKey(bucket.sensor), bucket);
      }
    }
    const upgrade = new Upgrade(engine, writer, told, end);
    for (const output of early.rollups) upgrade.#takeEarly(output, early.bucketMs);
    return upgrade;
  }

  /** Keeps rollups of the snapshot that are of another width, but those that have gone out since. */
  #takeEarly(output: EngineOutput, bucketMs: DurationMs): void {
    if (output.kind !== 'rollups') return;
    const rollups = output.rollups.filter(({ sensor, start }) => {
      const buckets = this.#told.otherWidths.get(sensorKey(output.sensors[sensor]!)) ?? [];
      return !buckets.some((bucket) => bucket.start === start);
    });
    if (rollups.length > 0) this.#early.push({ ...output, rollups, bucketMs });
  }

  /** Whether a record of another width counts the reading in hand. Those of this release's width are told of by {@link passed}. */
  counts(reading: Reading): boolean {
    if (this.#told.otherWidths.size === 0) return false;
    const { eventTime: at } = reading;
    const buckets = this.#told.otherWidths.get(sensorKey(reading)) ?? [];
    return buckets.some(({ start, end, position }) => start <= at && at < end && position >= this.#position);
  }

  /** What follows comes from the item at this position. */
  begin(position: number): void {
    this.#position = position;
  }

  emit(output: EngineOutput): void {
    if (output.kind !== 'episode') {
      const isGone = this.#told.gone.some(({ after, before }) => after < this.#position && this.#position < before);
      if (!isGone) this.#rollups.emit(output);
      return;
    }
    if (this.#position <= this.#processed) return;
    const { episode } = output;
    const { told } = this.#writer;
    // An episode that was not told when it opened is not told later, and one that is open does not open again.
    if ((episode.phase === 'opened') !== told.open.has(told.idOf(episode.id))) this.#writer.addEpisode(episode);
  }

  /** The item in hand is processed: what was told of it before counts it, and all before it. */
  passed(): void {
    for (const { sensor, start } of this.#told.byPosition.get(this.#position) ?? []) this.#rollups.told(sensor, start);
  }

  /** Everything that is open ends: to be called at the start from which on the engine judges alone. */
  finish(): void {
    for (const output of [...this.#early, ...this.#rollups.take()]) this.#writer.emit(output);
    // Also what the engine has open, so that what is told here counts every reading before it as all records do.
    this.#engine.closeRollups(this.#writer);
    this.#engine.closeEpisodes('upgraded', { emit: () => undefined });
    for (const record of this.#writer.told.open.values()) {
      this.#writer.addEpisodeRecord({ ...record, phase: 'closed', closeReason: 'upgraded' });
    }
  }
}

function* bucketsOf({ record, sensors, position }: SpooledRecord): Generator<ToldBucket> {
  if (record.kind !== 'rollups') return;
  for (const [i, index] of record.columns.sensor.entries()) {
    const sensor = sensors[index];
    const start = rollupStart(record, i);
    if (sensor !== undefined) yield { sensor, start, end: start + record.bucketMs, position };
  }
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** The records of a lane that come from items before position `end`; says where some are missing. */
async function* recordsOf(
  { spool, from }: { readonly spool: LaneSpool; readonly from: number },
  end: number,
  missing: () => void = () => undefined,
): AsyncGenerator<SpooledRecord> {
  for (let next = Math.max(from, spool.first); next < spool.next;) {
    const part = await spool.read(next, PART_BYTES, PART_RECORDS);
    if (part === undefined) return;
    next = part.to + 1;
    if (part.kind === 'gap') {
      missing();
      continue;
    }
    for (const item of part.items) {
      const record = decodeSpooled(item);
      if (record.position >= end) return;
      yield record;
    }
  }
}

/** What is read of a lane at a time. */
const PART_BYTES = 1024 * 1024;
const PART_RECORDS = 1_000;
