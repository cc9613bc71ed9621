import {
  type ClockQuality,
  type Collector,
  type EpochMs,
  type FloorRecord,
  type Lane,
  type Rollup,
  type RollupSensor,
  rollupsRecord,
  type StatusRecord,
} from '@floorwatch/contracts';

import type { LaneLog } from './lane-log.ts';
import { limits } from './limits.ts';
import type { EngineOutput, EpisodeEvent } from './sensor-engine.ts';
import { encodeSpooled } from './spooled-record.ts';

/** The gateway's clock during one step of the pipeline. */
export interface StepClock {
  readonly now: EpochMs;
  readonly quality: ClockQuality;
}

/** What is known of an episode since it opened, and repeated in every record of it. */
interface Opening {
  readonly detectedAt: EpochMs;
  readonly clock: ClockQuality;
}

/**
 * Makes records of what the engine says during one step (a delivery, a tick, the stop), and appends them together at its end.
 * The only writer of both lanes: it knows the next number of each.
 */
export class RecordWriter implements Collector<EngineOutput> {
  readonly #lanes: Readonly<Record<Lane, LaneLog>>;
  readonly #step: Record<Lane, Uint8Array[]> = { anomaly: [], telemetry: [] };
  /** Of every episode that is open; the engine bounds their number by its sensors and detectors. */
  readonly #openings = new Map<string, Opening>();
  readonly #episodes = { opened: 0, closed: 0 };
  #clock: StepClock;
  /** Counts steps until there is a journal. */
  #position = 0;

  constructor(lanes: Readonly<Record<Lane, LaneLog>>, clock: StepClock) {
    this.#lanes = lanes;
    this.#clock = clock;
  }

  /** The clock for what follows. */
  begin(clock: StepClock): void {
    this.#clock = clock;
    this.#position += 1;
  }

  emit(output: EngineOutput): void {
    switch (output.kind) {
      case 'episode':
        this.#addEpisode(output.episode);
        break;
      case 'rollups':
        this.#addRollups(output.rollups, output.sensors);
        break;
      case 'tick': {
        const { now: at, quality: clock } = this.#clock;
        this.#add('telemetry', (number) => ({ kind: 'tick', number, watermark: output.watermark, at, clock }));
        break;
      }
    }
  }

  addStatus(status: Omit<StatusRecord, 'kind' | 'number'>): void {
    this.#add('telemetry', (number) => ({ kind: 'status', number, ...status }));
  }

  /** Appends what the step made. The anomaly lane goes first: nobody may see a rollup's count of an anomaly that is lost. */
  async commit(): Promise<void> {
    for (const lane of ['anomaly', 'telemetry'] as const) {
      const items = this.#step[lane];
      if (items.length === 0) continue;
      this.#step[lane] = [];
      await this.#lanes[lane].append(items);
    }
  }

  get episodes(): { readonly opened: number; readonly closed: number } {
    return this.#episodes;
  }

  #addEpisode(episode: EpisodeEvent): void {
    let opening = this.#openings.get(episode.id);
    if (opening === undefined) {
      opening = { detectedAt: this.#clock.now, clock: this.#clock.quality };
      this.#openings.set(episode.id, opening);
      this.#episodes.opened += 1;
    }
    if (episode.phase === 'closed') {
      this.#openings.delete(episode.id);
      this.#episodes.closed += 1;
    }
    const { detectedAt, clock } = opening;
    this.#add('anomaly', (number) => ({ kind: 'anomaly', number, ...episode, detectedAt, clock, provenance: 'live' }));
  }

  /** Long names can make a record too large for a batch; it is then split, down to single rollups. */
  #addRollups(rollups: readonly Rollup[], sensors: readonly RollupSensor[]): void {
    const record = rollupsRecord(this.#next('telemetry'), rollups);
    const bytes = encodeSpooled({ record, sensors, position: this.#position, at: this.#clock.now });
    if (bytes.length <= limits.recordBytesMax || rollups.length <= 1) {
      this.#step.telemetry.push(bytes);
      return;
    }
    const half = Math.ceil(rollups.length / 2);
    for (const part of [rollups.slice(0, half), rollups.slice(half)]) {
      const used = [...new Set(part.map(({ sensor }) => sensor))];
      const indexes = new Map(used.map((sensor, index) => [sensor, index]));
      this.#addRollups(
        part.map(({ sensor, start, aggregate, moving }) => ({
          sensor: indexes.get(sensor) ?? sensor,
          start,
          aggregate,
          moving,
        })),
        used.flatMap((sensor) => sensors[sensor] ?? []),
      );
    }
  }

  #add(lane: Lane, make: (number: number) => FloorRecord): void {
    this.#step[lane].push(
      encodeSpooled({ record: make(this.#next(lane)), sensors: [], position: this.#position, at: this.#clock.now }),
    );
  }

  #next(lane: Lane): number {
    return this.#lanes[lane].next + this.#step[lane].length;
  }
}
