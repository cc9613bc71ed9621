import type {
  AnomalyRecord,
  Collector,
  EpochMs,
  GatewayName,
  MovingStatistics,
  Operator,
  Reading,
  Rollup,
  RollupSensor,
} from '@floorwatch/contracts';

import type { EngineConfig } from './sensor-engine-config.ts';

/** An anomaly record without what only the pipeline knows: its number, the clock and how live it is. */
export type EpisodeEvent = Omit<AnomalyRecord, 'kind' | 'number' | 'detectedAt' | 'clock' | 'provenance'>;

export type EngineOutput =
  | { readonly kind: 'episode'; readonly episode: EpisodeEvent }
  /** At most `limits.rollupsPerRecordMax`; `rollup.sensor` indexes `sensors`. */
  | { readonly kind: 'rollups'; readonly rollups: readonly Rollup[]; readonly sensors: readonly RollupSensor[] }
  /** Always behind every rollup whose bucket ends at or before `watermark`. */
  | { readonly kind: 'tick'; readonly watermark: EpochMs };

/** What the gateway knows of time at one moment. */
export interface ClockTick {
  readonly now: EpochMs;
  /** false: the clock is known to be wrong. A clock of unknown quality counts as synchronised. */
  readonly synchronised: boolean;
  /** Milliseconds since the program started, by a clock that never steps. */
  readonly sinceStartMs: number;
}

/** A sensor as the status page shows it. */
export interface SensorState extends RollupSensor {
  readonly newestAt: EpochMs;
  readonly newestValue: number;
  readonly moving: MovingStatistics;
  /** Detectors that have an episode open, by name. */
  readonly anomalies: readonly string[];
}

/**
 * Stats and score of one gateway: readings go in, episodes, rollups and ticks come out. Pure: time arrives with readings and with
 * `advance`. The owner bounds the number of sensors before it calls `accept`, and passes finite values of at most
 * {@link VALUE_ABS_MAX}.
 */
export class SensorEngine implements Operator<Reading, EngineOutput> {
  /** @param gateway part of every episode's id, so that equal readings of two gateways are two episodes. */
  constructor(config: EngineConfig, gateway: GatewayName) {
    void [config, gateway];
  }

  /** Sensors seen so far. */
  get sensorCount(): number {
    return 0;
  }

  /** Readings that were older than their sensor's newest: in their rollup, but neither scored nor learned from. */
  get outOfOrder(): number {
    return 0;
  }

  /**
   * Scores the reading, learns from it, and adds it to its rollup. Closes rollups and emits a tick by itself when enough of them
   * wait behind the watermark; this needs a first `advance`, which tells the clock.
   */
  accept(reading: Reading, out: Collector<EngineOutput>): void {
    void [reading, out];
  }

  /** Call once at the start and every few seconds: emits the rollups that the watermark has passed, then a tick. */
  advance(clock: ClockTick, out: Collector<EngineOutput>): void {
    void [clock, out];
  }

  /** The clean stop: open episodes close with reason `shutdown`, and open rollups go out. Nothing may follow. */
  close(out: Collector<EngineOutput>): void {
    void out;
  }

  /** Every sensor in the order of their first readings. */
  *sensors(): Generator<SensorState> {}
}
