import { type Collector, type Lane, type RollupSensor, rollupStart } from '@floorwatch/contracts';

import type { LaneSpool } from './lane-spool.ts';
import type { RecordWriter } from './record-writer.ts';
import type { EngineOutput, SensorEngine } from './sensor-engine.ts';
import { ReplayedRollups } from './snapshot/replayed-rollups.ts';
import { decodeSpooled, type SpooledRecord } from './spooled-record.ts';

/** Rollups that a lane has, by the position of the item that they came from. */
type Told = ReadonlyMap<number, readonly { readonly sensor: RollupSensor; readonly start: number }[]>;

/**
 * The outputs of a replay by an engine that judges in another way than the one before: with another configuration, by other rules, or
 * without what that one had learned. What that one has put into the lanes stands; what is missing there must come, and nothing may come twice.
 *
 * - Rollups: the records that are there count every reading up to the position that they came from. The rest goes out at the end, open
 *   rollups too.
 * - Episodes: of items that were certainly processed before, those that are in the lane count; of later ones, those that this engine finds.
 *   At the end all are closed, and the engine opens anew what it finds still wrong.
 * - Ticks stay away: the next one says as much.
 */
export class Upgrade implements Collector<EngineOutput> {
  readonly #engine: SensorEngine;
  readonly #writer: RecordWriter;
  readonly #told: Told;
  /** Position of the start from which on the engine judges alone, or the earliest that it can have. */
  readonly end: number;
  readonly #rollups: ReplayedRollups;
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
   * @param early rollups that the engine could not take up from the snapshot.
   */
  static async begin(
    engine: SensorEngine,
    writer: RecordWriter,
    lanes: Readonly<Record<Lane, { readonly spool: LaneSpool; readonly from: number }>>,
    end: number,
    early: readonly EngineOutput[],
  ): Promise<Upgrade> {
    for await (const { record } of recordsOf(lanes.anomaly, end)) {
      if (record.kind !== 'anomaly') continue;
      const { number: _, ...episode } = record;
      writer.told.learn(episode);
    }
    const told = new Map<number, { sensor: RollupSensor; start: number }[]>();
    for await (const { record, sensors, position } of recordsOf(lanes.telemetry, end)) {
      if (record.kind !== 'rollups') continue;
      const list = told.get(position) ?? [];
      told.set(position, list);
      record.columns.sensor.forEach((index, i) => {
        const sensor = sensors[index];
        if (sensor !== undefined) list.push({ sensor, start: rollupStart(record, i) });
      });
    }
    const upgrade = new Upgrade(engine, writer, told, end);
    for (const output of early) upgrade.emit(output);
    return upgrade;
  }

  /** What follows comes from the item at this position. */
  begin(position: number): void {
    this.#position = position;
  }

  emit(output: EngineOutput): void {
    if (output.kind !== 'episode') {
      this.#rollups.emit(output);
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
    for (const { sensor, start } of this.#told.get(this.#position) ?? []) this.#rollups.told(sensor, start);
  }

  /** Everything that is open ends: to be called at the start from which on the engine judges alone. */
  finish(): void {
    for (const output of this.#rollups.take()) this.#writer.emit(output);
    // Also what the engine has open, so that what is told here counts every reading before it as all records do.
    this.#engine.closeRollups(this.#writer);
    this.#engine.closeEpisodes('upgraded', { emit: () => undefined });
    for (const record of this.#writer.told.open.values()) {
      this.#writer.addEpisodeRecord({ ...record, phase: 'closed', closeReason: 'upgraded' });
    }
  }
}

/** The records of a lane that come from items before position `end`. */
async function* recordsOf(
  { spool, from }: { readonly spool: LaneSpool; readonly from: number },
  end: number,
): AsyncGenerator<SpooledRecord> {
  for (let next = Math.max(from, spool.first); next < spool.next;) {
    const part = await spool.read(next, PART_BYTES, PART_RECORDS);
    if (part === undefined) return;
    next = part.to + 1;
    if (part.kind === 'gap') continue;
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
