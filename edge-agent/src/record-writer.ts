import {
  type AcceptedCounts,
  type ClockQuality,
  type Collector,
  type DurationMs,
  type EpochMs,
  type FloorRecord,
  LANES,
  limits as contractLimits,
  type Lane,
  type Rollup,
  type RollupSensor,
  rollupsRecord,
  type StatusRecord,
} from '@floorwatch/contracts';

import type { LaneSpool } from './lane-spool.ts';
import { limits } from './limits.ts';
import type { EngineOutput, EpisodeEvent, TickCounts } from './sensor-engine.ts';
import { newEpoch } from './spool/epoch.ts';
import { laneAppendBytes, laneFrameBytes } from './spool/lane-sizes.ts';
import { decodeSpooled, encodeSpooled } from './spooled-record.ts';
import { type EpisodeRecord, ToldEpisodes } from './told-episodes.ts';

/** The item of the journal that is being processed. */
export interface Cause {
  /** Its position. */
  readonly position: number;
  /** The gateway's clock when it came, and how far that could be trusted. */
  readonly now: EpochMs;
  readonly quality: ClockQuality;
}

/** Records that come from one item of the journal, for one lane: they are appended together. */
interface Outputs {
  readonly position: number;
  /** The epoch that begins with the first of them. */
  epoch: string | undefined;
  records: Uint8Array[];
  bytes: number;
}

/** How far a lane is: the item that its newest record came from, and how many it has of that. */
interface Through {
  readonly position: number;
  readonly records: number;
}

/**
 * Makes records of what the engine says of the journal's items, and appends those of a step together. The only writer of both lanes.
 *
 * Outputs follow from the journal alone, so that a replay makes the same ones again. Each lane takes only what lies behind the position
 * that its newest record came from, and so has every output once.
 */
export class RecordWriter implements Collector<EngineOutput> {
  readonly #lanes: Readonly<Record<Lane, LaneSpool>>;
  /** What waits for {@link commit}, oldest first. */
  readonly #waiting: Record<Lane, Outputs[]> = { anomaly: [], telemetry: [] };
  /** Number of the last record made of the epoch in hand. */
  readonly #numbers: Record<Lane, number>;
  readonly #through: Readonly<Record<Lane, Through>>;
  /** Records made of the item in hand, also those that the lane has already. */
  readonly #made: Record<Lane, number> = { anomaly: 0, telemetry: 0 };
  readonly told = new ToldEpisodes();
  readonly #episodes = { opened: 0, closed: 0 };
  #anomalyEpoch: string | undefined;
  /** The record of the anomaly lane up to which ticks have counted. */
  #episodesTold: { readonly epoch: string; readonly number: number } | undefined;
  #cause: Cause = { position: 0, now: 0 as EpochMs, quality: 'unknown' };

  private constructor(lanes: Readonly<Record<Lane, LaneSpool>>, through: Readonly<Record<Lane, Through>>) {
    this.#lanes = lanes;
    this.#through = through;
    this.#anomalyEpoch = lanes.anomaly.epoch;
    this.#numbers = { anomaly: lanes.anomaly.lastNumber, telemetry: lanes.telemetry.lastNumber };
  }

  /** Finds out how far the lanes are. */
  static async open(lanes: Readonly<Record<Lane, LaneSpool>>): Promise<RecordWriter> {
    const [anomaly, telemetry] = await Promise.all([throughOf(lanes.anomaly), throughOf(lanes.telemetry)]);
    return new RecordWriter(lanes, { anomaly, telemetry });
  }

  /** Journal position that a lane's newest record came from when it was opened; 0: it was empty. */
  through(lane: Lane): number {
    return this.#through[lane].position;
  }

  /** What follows comes from this item. */
  begin(cause: Cause): void {
    this.#cause = cause;
    this.#made.anomaly = 0;
    this.#made.telemetry = 0;
  }

  emit(output: EngineOutput): void {
    switch (output.kind) {
      case 'episode':
        this.addEpisode(output.episode);
        break;
      case 'rollups':
        this.#addRollups(output.rollups, output.sensors, output.bucketMs);
        break;
      case 'tick':
        this.#addTick(output.watermark, output.counts);
        break;
    }
  }

  /** Begins an epoch in both lanes. Nothing may wait for {@link commit}. */
  addStart(epoch: string): void {
    for (const lane of LANES) this.#begin(lane, epoch);
  }

  addStatus(status: () => Omit<StatusRecord, 'kind' | 'number'>): void {
    this.#add('telemetry', (number) => ({ kind: 'status', number, ...status() }));
  }

  /** As many ticks as are needed to tell what was accepted, and at least one; the last one tells of episodes, too. */
  #addTick(watermark: EpochMs, counts: TickCounts | undefined): void {
    const { now: at, quality: clock } = this.#cause;
    const add = (told: AcceptedCounts | undefined): void =>
      this.#add('telemetry', (number) => {
        const tick = { kind: 'tick', number, watermark, at, clock } as const;
        return told === undefined ? tick : { ...tick, counts: told };
      });
    if (counts === undefined) {
      add(undefined);
      return;
    }
    const { counter, completeFrom } = counts;
    const parts = inParts(counts.take());
    const last = parts.pop() ?? [];
    for (const hours of parts) add({ counter, completeFrom, hours, more: true });
    const episodes = this.#takeEpisodes();
    if (episodes !== undefined) add({ counter, completeFrom, hours: last, episodes });
    else add(last.length === 0 ? undefined : { counter, completeFrom, hours: last });
  }

  /**
   * What is new of the episodes told; undefined: nothing. While a replay goes through what the anomaly lane has already, nobody knows which of
   * its numbers the next one follows.
   */
  #takeEpisodes(): AcceptedCounts['episodes'] {
    const [epoch, number] = [this.#anomalyEpoch, this.#numbers.anomaly];
    if (epoch === undefined || this.#cause.position <= this.#through.anomaly.position) return undefined;
    const { counts } = this.told;
    if (this.#episodesTold?.epoch === epoch && this.#episodesTold.number === number && !counts.hasNews)
      return undefined;
    this.#episodesTold = { epoch, number };
    return { epoch, number, hours: counts.take(contractLimits.countedHoursPerTickMax) };
  }

  /** Whether a lane takes the next record of the item in hand; else it has it already. */
  #takes(lane: Lane): boolean {
    const { position, records } = this.#through[lane];
    return this.#cause.position > position || (this.#cause.position === position && this.#made[lane] >= records);
  }

  addEpisode(episode: EpisodeEvent): void {
    const id = this.told.idOf(episode.id);
    const { now, quality } = this.#cause;
    const { detectedAt, clock } = this.told.open.get(id) ?? { detectedAt: now, clock: quality };
    this.addEpisodeRecord({ kind: 'anomaly', ...episode, id, detectedAt, clock, provenance: 'live' });
  }

  addEpisodeRecord(record: EpisodeRecord): void {
    const isNew = !this.told.open.has(record.id);
    this.told.learn(record);
    if (this.#takes('anomaly')) {
      if (isNew) this.#episodes.opened += 1;
      if (record.phase === 'closed') this.#episodes.closed += 1;
    }
    this.#add('anomaly', (number) => ({ ...record, number }));
  }

  /** Episodes that this start has told. */
  get episodes(): { readonly opened: number; readonly closed: number } {
    return this.#episodes;
  }

  /** The first lane that something waits for; undefined: nothing waits. */
  get waitingLane(): Lane | undefined {
    return LANES.find((lane) => this.#waiting[lane].length > 0);
  }

  /** Bytes that wait for {@link commit}. */
  get bytes(): number {
    return LANES.reduce(
      (sum, lane) => sum + this.#waiting[lane].reduce((bytes, outputs) => bytes + outputs.bytes, 0),
      0,
    );
  }

  /**
   * Appends what the step made, what comes from one item in one frame unless it is larger than a segment, and resolves when all is safe. The
   * anomaly lane goes first: nobody may see a rollup's count of an anomaly that is lost.
   *
   * @throws SegmentLogError if a lane does not take it. Nothing is lost then: the next call tries again.
   */
  async commit(): Promise<void> {
    for (const lane of LANES) {
      const { bytesMax } = this.#lanes[lane];
      for (let [first] = this.#waiting[lane]; first !== undefined; [first] = this.#waiting[lane]) {
        if (first.bytes > laneFrameBytes(bytesMax)) {
          await this.#appendPart(lane, first);
          continue;
        }
        const waiting = this.#waiting[lane];
        const together = countTogether(waiting, laneAppendBytes(bytesMax));
        await this.#append(
          lane,
          waiting.slice(0, together).flatMap(({ records }) => records),
          first.epoch,
        );
        this.#waiting[lane] = waiting.slice(together);
      }
    }
  }

  /** Appends as many of one item's records as fit into a frame; a start that finds them there goes on behind them. */
  async #appendPart(lane: Lane, outputs: Outputs): Promise<void> {
    let bytes = 0;
    const most = laneAppendBytes(this.#lanes[lane].bytesMax);
    const end = outputs.records.findIndex((record, index) => (bytes += record.length) > most && index > 0);
    const part = outputs.records.slice(0, end === -1 ? undefined : end);
    await this.#append(lane, part, outputs.epoch);
    outputs.epoch = undefined;
    outputs.records = outputs.records.slice(part.length);
    outputs.bytes -= part.reduce((sum, { length }) => sum + length, 0);
  }

  async #append(lane: Lane, records: readonly Uint8Array[], epoch: string | undefined): Promise<void> {
    await this.#lanes[lane].append(records, { now: true, ...(epoch !== undefined && { epoch }) });
  }

  /** Long names can make a record too large for a batch; it is then split, down to single rollups. */
  #addRollups(rollups: readonly Rollup[], sensors: readonly RollupSensor[], bucketMs?: DurationMs): void {
    const { position, now: at } = this.#cause;
    // It can have parts of this item only if the item was too large for one frame.
    if (position < this.#through.telemetry.position) return;
    this.#beginIfNone('telemetry');
    const record = rollupsRecord(this.#numbers.telemetry + 1, rollups, bucketMs);
    const bytes = encodeSpooled({ record, sensors, position, at });
    if (bytes.length <= limits.recordBytesMax || rollups.length <= 1) {
      this.#push('telemetry', bytes);
      return;
    }
    const half = Math.ceil(rollups.length / 2);
    for (const part of [rollups.slice(0, half), rollups.slice(half)]) {
      const used = [...new Set(part.map(({ sensor }) => sensor))];
      const indexes = new Map(used.map((sensor, index) => [sensor, index]));
      this.#addRollups(
        part.map(({ sensor, start, aggregate, moving, hash }) => ({
          sensor: indexes.get(sensor) ?? sensor,
          start,
          aggregate,
          moving,
          hash,
        })),
        used.flatMap((sensor) => sensors[sensor] ?? []),
        bucketMs,
      );
    }
  }

  #add(lane: Lane, make: (number: number) => FloorRecord): void {
    const { position, now: at } = this.#cause;
    if (!this.#takes(lane)) {
      this.#made[lane] += 1;
      return;
    }
    this.#beginIfNone(lane);
    this.#push(lane, encodeSpooled({ record: make(this.#numbers[lane] + 1), sensors: [], position, at }));
  }

  #push(lane: Lane, bytes: Uint8Array): void {
    const takes = this.#takes(lane);
    this.#made[lane] += 1;
    if (!takes) return;
    this.#numbers[lane] += 1;
    const { position } = this.#cause;
    let outputs = this.#waiting[lane].at(-1);
    if (outputs?.position !== position) {
      outputs = { position, epoch: undefined, records: [], bytes: 0 };
      this.#waiting[lane].push(outputs);
    }
    outputs.records.push(bytes);
    outputs.bytes += bytes.length;
  }

  #begin(lane: Lane, epoch: string): void {
    const { epoch: before, lastNumber: last } = this.#lanes[lane];
    const { now: at, quality: clock, position } = this.#cause;
    const predecessor = before === undefined ? null : { epoch: before, last };
    const record = { kind: 'start', number: 1, predecessor, at, clock } as const;
    if (this.#takes(lane)) {
      this.#numbers[lane] = 0;
      if (lane === 'anomaly') this.#anomalyEpoch = epoch;
      this.#waiting[lane].push({ position, epoch, records: [], bytes: 0 });
    }
    this.#push(lane, encodeSpooled({ record, sensors: [], position, at, epoch }));
  }

  /** A lane whose folder was removed while the journal stayed has no epoch for what is replayed into it, and gets one of its own. */
  #beginIfNone(lane: Lane): void {
    if (this.#lanes[lane].epoch === undefined && this.#waiting[lane].length === 0) this.#begin(lane, newEpoch(0));
  }
}

/** In parts that fit into a tick each. */
function inParts(hours: AcceptedCounts['hours']): AcceptedCounts['hours'][] {
  const parts: AcceptedCounts['hours'][] = [];
  let bytes = Infinity;
  for (const hour of hours) {
    const length = Buffer.byteLength(JSON.stringify(hour));
    bytes += length;
    if (bytes > limits.countedBytesMax || parts.at(-1)!.length >= contractLimits.countedHoursPerTickMax) {
      parts.push([]);
      bytes = length;
    }
    parts.at(-1)!.push(hour);
  }
  return parts;
}

/** How many of the first ones are appended together; an epoch begins in an append of its own. */
function countTogether(waiting: readonly Outputs[], bytesMax: number): number {
  let bytes = 0;
  const end = waiting.findIndex((outputs, index) => {
    bytes += outputs.bytes;
    return index > 0 && (bytes > bytesMax || outputs.epoch !== undefined);
  });
  return end === -1 ? waiting.length : end;
}

/** Records that are looked at together, from the newest back. */
const LOOK_BACK = 64;

/** Which item of the journal a lane's newest record came from, and how many records it has of that. */
async function throughOf(lane: LaneSpool): Promise<Through> {
  const last = await lane.last();
  if (last === undefined) return { position: 0, records: 0 };
  const { position } = decodeSpooled(last);
  for (let count = LOOK_BACK; ; count *= 2) {
    const from = Math.max(lane.first, lane.next - count);
    let records = 0;
    for (let next = from; next < lane.next;) {
      const part = await lane.read(next, Infinity, count);
      if (part === undefined) break;
      const items = part.kind === 'records' ? part.items : [];
      for (const item of items) records += decodeSpooled(item).position === position ? 1 : 0;
      next = part.to + 1;
    }
    if (records < count || from === lane.first) return { position, records: Math.max(1, records) };
  }
}
