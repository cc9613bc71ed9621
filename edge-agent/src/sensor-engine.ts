import {
  type AcceptedCounts as AcceptedCountsRecord,
  type CloseReason,
  type Collector,
  type DurationMs,
  type EpochMs,
  type GatewayName,
  limits,
  type MovingStatistics,
  type Operator,
  type Reading,
  ReadingHash,
  type Rollup,
  type RollupSensor,
  type SensorName,
} from '@floorwatch/contracts';

import type { Detector } from './score/detector.ts';
import type { EpisodeEvent, EpisodeTracker } from './score/episode-tracker.ts';
import { Judges } from './score/judges.ts';
import { type Arrival, Arrivals } from './score/arrivals.ts';
import type { SavedListening } from './score/listening-time.ts';
import type { SavedSilence } from './score/silence-watch.ts';
import { episodesSection, restoreEpisodes } from './score/episode-sections.ts';
import type { EngineConfig } from './sensor-engine-config.ts';
import { type CapturedSection, copied, requireSection, type StateSection } from './state-section.ts';
import { LEARNED, learnedSection, type LearnedState, restoreLearned } from './stats/learned-state.ts';
import { ReadingInHand } from './stats/reading-in-hand.ts';
import { AcceptedCounts } from './stats/accepted-counts.ts';
import { RecentReadings } from './stats/recent-readings.ts';
import { type RollupBucket, RollupBuckets } from './stats/rollup-buckets.ts';
import { SensorStatistics } from './stats/sensor-statistics.ts';
import { SensorRows } from './stats/sensor-rows.ts';
import { SensorTable } from './stats/sensor-table.ts';
import { type ClockTick, Watermark } from './stats/watermark.ts';

export type { Arrival, ClockTick, EpisodeEvent };

export type EngineOutput =
  | { readonly kind: 'episode'; readonly episode: EpisodeEvent }
  /** At most `limits.rollupsPerRecordMax`; `rollup.sensor` indexes `sensors`. */
  | {
      readonly kind: 'rollups';
      readonly rollups: readonly Rollup[];
      readonly sensors: readonly RollupSensor[];
      /** Absent: this release's. */
      readonly bucketMs?: DurationMs;
    }
  /** Always behind every rollup whose bucket ends at or before `watermark`. */
  | {
      readonly kind: 'tick';
      readonly watermark: EpochMs;
      /** Absent before {@link SensorEngine.beginCounting}. */
      readonly counts?: TickCounts;
    };

/** What was accepted, as far as a tick can tell it. */
export interface TickCounts extends Pick<AcceptedCountsRecord, 'counter' | 'completeFrom'> {
  /** Takes the hours that are complete now and changed since they were taken last. Who does not call it, leaves them to the next tick. */
  take(): AcceptedCountsRecord['hours'];
}

/** A sensor as the status page shows it. */
export interface SensorState extends RollupSensor {
  readonly newestAt: EpochMs;
  readonly newestValue: number;
  readonly moving: MovingStatistics;
  /** Detectors that have an episode open, by name. */
  readonly anomalies: readonly string[];
  /** Detectors that have seen too little of the sensor to judge it, by name. */
  readonly warmingUp: readonly string[];
}

/** What could not be taken up from a snapshot. */
export interface RestoreReport {
  /** Sections of what is learned that are left out, so that it is learned again, and why. */
  readonly leftOut: readonly { readonly section: string; readonly why: string }[];
  /** Open rollups of another width than this release's. They go out as they are. */
  readonly rollups: readonly EngineOutput[];
}

/**
 * Counts up whenever the engine would make other episodes, rollups or ticks of the same verdicts. Versions of detectors count up by
 * themselves.
 */
const RULES_VERSION = 1;

/** What became of readings so far. Every later release must be able to read it (docs/agent-snapshot-format.md). */
const SECTION = 'engine';
const VERSION = 1;

interface SavedCounters {
  readonly outOfOrder: number;
  readonly rollupsEarly: number;
  readonly lookAtOpen: number;
  readonly silence?: SavedSilence;
  readonly listening: SavedListening;
  /** Slots of sensors that hold what is kept apart for its unit; absent: none. */
  readonly apart?: readonly number[];
}

/** Newly opened buckets after which `accept` looks whether some can go out: what fills one record. */
const BUCKETS_PER_LOOK: number = limits.rollupsPerRecordMax;

/**
 * Stats and score of one gateway: readings go in, episodes, rollups and ticks come out. Pure: time arrives with readings and with
 * `advance`. The owner bounds the number of sensors before it calls `accept`, and passes finite values no larger than
 * `statsLimits.valueAbsMax`.
 *
 * Each reading is judged by every detector, then added to its rollup, then learned: by the moving statistics always, by detectors as
 * they are set. A reading older than its sensor's newest only joins its rollup.
 */
export class SensorEngine implements Operator<Reading, EngineOutput> {
  /** What statistics and detectors keep of each sensor. */
  readonly #rows = new SensorRows();
  readonly #sensors = new SensorTable(this.#rows);
  readonly #statistics: SensorStatistics;
  readonly #recent = new RecentReadings(this.#rows);
  readonly #judges: Judges;
  readonly #rollups: RollupBuckets;
  /** What was accepted, for comparison with what became of it. */
  readonly #accepted = new AcceptedCounts();
  /** The hash of the reading in hand. */
  readonly #hash = new ReadingHash();
  readonly #watermark: Watermark;
  readonly #arrivals: Arrivals;
  readonly #hand = new ReadingInHand();
  /** Sensors that hold what is kept apart for its unit, by slot. */
  readonly #apart = new Set<number>();
  #lookAtOpen = BUCKETS_PER_LOOK;
  #outOfOrder = 0;
  #rollupsEarly = 0;

  /**
   * @param gateway part of every episode's id, so that equal readings of two gateways are two episodes.
   * @param detectors what judges the readings, besides those that `config` sets up.
   */
  constructor(config: EngineConfig, gateway: GatewayName, detectors: readonly Detector[] = []) {
    this.#statistics = new SensorStatistics(config.statistics, this.#rows);
    this.#rollups = new RollupBuckets(this.#statistics);
    this.#watermark = new Watermark(config.watermark);
    this.#judges = new Judges(config, {
      gateway,
      rows: this.#rows,
      statistics: this.#statistics,
      newestValue: (slot) => this.#sensors.newestValue(slot),
      newestAt: (slot) => this.#sensors.newestAt(slot),
      context: {
        sensor: (slot) => this.#sensors.sensor(slot),
        moving: (slot) => this.#statistics.snapshot(slot),
        before: (slot) => this.#recent.list(slot),
      },
      further: detectors,
    });
    this.#arrivals = new Arrivals(config.silent, {
      judges: this.#judges,
      sensors: this.#sensors,
      rows: this.#rows,
      watermark: this.#watermark,
      hand: this.#hand,
      slotOf: (sensor) => this.#slotOf(sensor),
    });
  }

  /**
   * What decides what comes out, besides the configuration: two engines of equal rules and equal configuration that have accepted the same
   * give the same. If a snapshot is of an engine with other rules, its open episodes do not go on.
   */
  get outputRules(): string {
    const learned = this.#learned().map(([name, { layout }]) => `${name} ${layout.version}`);
    const detectors = this.#judges.all.map(({ detector: { name, version, state } }) => [
      name,
      version,
      state?.layout.version ?? 0,
    ]);
    return [`engine ${RULES_VERSION}`, ...learned, ...detectors.map((each) => each.join(' '))].join(', ');
  }

  /** Sensors seen so far. */
  get sensorCount(): number {
    return this.#sensors.size;
  }

  /** Readings that were older than their sensor's newest: in their rollup, but neither scored nor learned from. */
  get outOfOrder(): number {
    return this.#outOfOrder;
  }

  /** Rollups that went out before the watermark passed them, because `statsLimits.openBucketsMax` were open. */
  get rollupsEarly(): number {
    return this.#rollupsEarly;
  }

  /**
   * Judges the reading, adds it to its rollup and learns from it.
   *
   * So that memory stays bounded when years of a recording pass between two calls of `advance`, it looks after every
   * {@link BUCKETS_PER_LOOK} newly opened rollups whether the watermark (by the clock that `advance` told last) has passed some; these
   * go out, followed by a tick. Before the first `advance` there is no watermark, and rollups go out when too many are open.
   *
   * @param isCounted a rollup that has gone out counts it already (see `Upgrade`): it joins none.
   * @param arrival how it came; absent in recordings.
   */
  accept(reading: Reading, out: Collector<EngineOutput>, isCounted = false, arrival?: Arrival): void {
    const slot = this.#slotOf(reading);
    this.#rows.touch(slot);
    const { eventTime, value } = reading;
    const hand = this.#hand.set(eventTime, value);
    this.#arrivals.reading(slot, reading, arrival, out);
    if (reading.apartFrom !== undefined) this.#judgeApart(slot, reading, reading.apartFrom, out);
    const uncertain = reading.quality === 'uncertain';
    this.#watermark.observe(eventTime);
    this.#hash.set(this.#sensors.nameHash(slot), hand);
    this.#accepted.add(slot, hand, this.#hash);
    if (eventTime < this.#sensors.newestAt(slot)) {
      this.#outOfOrder += 1;
      this.#judges.judgeEarlier(slot, reading, this.#sensors.newestAt(slot) - eventTime, out);
      if (!isCounted) this.#rollups.addOutOfOrder(slot, hand, this.#hash, uncertain);
    } else {
      const anomalous = this.#judges.judge(slot, reading, hand, out);
      if (!isCounted) this.#rollups.add(slot, hand, this.#hash, anomalous, uncertain);
      if (!this.#judges.isOutOfRange(slot)) this.#statistics.add(slot, hand);
      this.#recent.add(slot, hand);
      this.#sensors.setNewest(slot, hand);
    }
    if (this.#rollups.openCount >= this.#lookAtOpen || this.#countsAreFull) this.#look(out);
  }

  #slotOf(sensor: SensorName): number {
    const known = this.#sensors.size;
    const slot = this.#sensors.slotOf(sensor);
    if (slot === known) this.#addSensor(slot);
    return slot;
  }

  #addSensor(slot: number): void {
    this.#statistics.reserve(slot + 1);
    this.#recent.reserve(slot + 1);
    this.#judges.addSensor(slot, this.#sensors.sensor(slot));
  }

  /** Judges a reading in another unit, which is in `slot`, for the sensor that it is kept apart from. */
  #judgeApart(slot: number, reading: Reading, apartFrom: string, out: Collector<EngineOutput>): void {
    if (!this.#apart.has(slot)) this.#setApart(slot);
    const origin = this.#sensors.find(reading.device, apartFrom);
    if (origin === undefined || reading.eventTime < this.#sensors.newestAt(origin)) return;
    this.#rows.touch(origin);
    this.#judges.judgeApart(origin, reading, out);
  }

  /** When its readings end all is well again: nobody misses them. */
  #setApart(slot: number): void {
    this.#apart.add(slot);
    this.#judges.silence?.exempt(slot);
  }

  /** A message of the sensor came at `receivedAt` of which nothing was accepted. */
  hear(sensor: SensorName, receivedAt: EpochMs, out: Collector<EngineOutput>): void {
    this.#arrivals.message(sensor, receivedAt, out);
  }

  get #countsAreFull(): boolean {
    return this.#accepted.isFull(this.#sensors.size);
  }

  /** Lets out what the watermark has passed, and everything if too much stays. */
  #look(out: Collector<EngineOutput>): void {
    const watermark = this.#watermark.value();
    if (watermark !== undefined) {
      if (this.#closeRollups(watermark, out) > 0) this.#emitTick(watermark, watermark, out);
    }
    if (this.#rollups.full || this.#countsAreFull) {
      this.#rollupsEarly += this.#closeRollups(Infinity, out);
      // Without a name nobody is told, and what is counted is forgotten.
      if (this.#countsAreFull && this.#accepted.counter === undefined) this.#accepted.take(Infinity);
      else if (watermark !== undefined && this.#countsAreFull) this.#emitTick(watermark, Infinity, out);
    }
    this.#lookAtOpen = this.#rollups.openCount + BUCKETS_PER_LOOK;
  }

  /** To be called once at the start and every few seconds: lets out the rollups that the watermark has passed, then a tick. */
  advance(clock: ClockTick, out: Collector<EngineOutput>): void {
    this.#watermark.tick(clock);
    this.#arrivals.tick(clock, out);
    const watermark = this.#watermark.value();
    if (watermark === undefined) return;
    this.#closeRollups(watermark, out);
    this.#lookAtOpen = this.#rollups.openCount + BUCKETS_PER_LOOK;
    this.#emitTick(watermark, watermark, out);
  }

  /** @param until see `AcceptedCounts.take`; all rollups of what ends before have gone out. */
  #emitTick(watermark: EpochMs, until: number, out: Collector<EngineOutput>): void {
    const { counter, completeFrom } = this.#accepted;
    if (counter === undefined) {
      out.emit({ kind: 'tick', watermark });
      return;
    }
    const take = (): AcceptedCountsRecord['hours'] =>
      this.#accepted.take(until).map(({ slot, hour, since, n, hash }) => {
        const { device, metric } = this.#sensors.sensor(slot);
        return { device, metric, hour, since, n, hash };
      });
    out.emit({ kind: 'tick', watermark, counts: { counter, completeFrom: completeFrom ?? null, take } });
  }

  /** Names the counting of what is accepted, unless it has a name. Without one nothing is told of it. */
  beginCounting(counter: string): void {
    this.#accepted.begin(counter);
  }

  /** The agent has started at `at`: what it was away for is nobody's silence. */
  start(at: EpochMs): void {
    this.#arrivals.start(at);
  }

  /** The clean stop: open episodes close with reason `shutdown`, and all rollups go out. Nothing may be accepted afterwards. */
  close(out: Collector<EngineOutput>): void {
    this.#arrivals.end(out);
    this.closeEpisodes('shutdown', out);
    this.closeRollups(out);
  }

  /** Lets out all open rollups; later readings of the same buckets make further ones. */
  closeRollups(out: Collector<EngineOutput>): void {
    this.#closeRollups(Infinity, out);
    this.#lookAtOpen = BUCKETS_PER_LOOK;
  }

  /** Closes all open episodes. */
  closeEpisodes(reason: CloseReason, out: Collector<EngineOutput>): void {
    this.#judges.close(this.#sensors.size, (slot) => this.#sensors.newestAt(slot), reason, out);
  }

  /**
   * Everything that the engine knows at this moment. What is kept in rows, most of it, is not copied yet, which takes a few microseconds
   * instead of milliseconds; it stays what it is while readings are accepted.
   *
   * @returns `release`: to be called, before the next capture, when the sections are not needed any more.
   * @throws Error if the one before was not released.
   */
  capture(): { readonly sections: readonly CapturedSection[]; readonly release: () => void } {
    const counters: SavedCounters = {
      outOfOrder: this.#outOfOrder,
      rollupsEarly: this.#rollupsEarly,
      lookAtOpen: this.#lookAtOpen,
      ...(this.#judges.silence !== undefined && { silence: this.#judges.silence.snapshot() }),
      listening: this.#arrivals.snapshot(),
      ...(this.#apart.size > 0 && { apart: [...this.#apart] }),
    };
    const cut = this.#rows.cut();
    const sections = [
      { name: SECTION, version: VERSION, values: counters, arrays: {} },
      this.#sensors.capture(cut),
      this.#watermark.snapshot(),
      this.#rollups.capture(),
      this.#accepted.snapshot(),
      episodesSection(this.#judges.all, this.#judges.related),
      ...this.#learned().map(([name, state]) => learnedSection(name, state, cut)),
      ...this.#judges.all.map((tracker) => tracker.captureDetector(cut)),
    ];
    return { sections, release: () => this.#rows.endCut() };
  }

  /** A copy of everything that the engine knows, to go on from with {@link restore}: about 2.8 KB per sensor. */
  snapshot(): readonly StateSection[] {
    const { sections, release } = this.capture();
    try {
      return sections.map(copied);
    } finally {
      release();
    }
  }

  /**
   * Takes up what {@link snapshot} gave, on an engine that has not accepted anything yet; sections of others are passed over. With the same
   * configuration, the engine goes on as if nothing had happened.
   *
   * With another configuration or from another release, sensors, watermark, counters and open rollups are taken up all the same, and
   * what was learned as far as it fits.
   *
   * @param openEpisodes `go-on`: open episodes do, which is right only with the same output rules. `closed`: they count as closed,
   *   because the caller tells so (see `upgradedEpisodes`).
   * @throws StateError if something is missing that can't be learned again, or a newer release wrote it. The engine is of no use then.
   */
  restore(sections: readonly StateSection[], openEpisodes: 'go-on' | 'closed' = 'go-on'): RestoreReport {
    const counters = requireSection(sections, SECTION, VERSION).values as SavedCounters;
    this.#outOfOrder = counters.outOfOrder;
    this.#rollupsEarly = counters.rollupsEarly;
    this.#lookAtOpen = counters.lookAtOpen;
    this.#sensors.restore(sections);
    for (let slot = 0; slot < this.#sensors.size; slot++) this.#addSensor(slot);
    this.#watermark.restore(sections);
    let newest = -Infinity;
    for (let slot = 0; slot < this.#sensors.size; slot++) newest = Math.max(newest, this.#sensors.newestAt(slot));
    this.#accepted.restore(sections, newest);
    const leftOut = this.#restoreLearned(sections);
    for (const slot of counters.apart ?? []) this.#setApart(slot);
    if (counters.silence !== undefined) this.#judges.silence?.restore(counters.silence);
    this.#arrivals.restore(counters.listening);
    const rollups: EngineOutput[] = [];
    this.#emitRollups(this.#rollups.restore(sections), { emit: (output) => void rollups.push(output) });
    restoreEpisodes(sections, this.#judges.all, this.#judges.related, openEpisodes === 'go-on');
    return { leftOut, rollups };
  }

  #restoreLearned(sections: readonly StateSection[]): RestoreReport['leftOut'] {
    const sensors = this.#sensors.size;
    const takers = new Map<string, (section: StateSection) => void>([
      ...this.#learned().map(
        ([name, state]) => [name, (section: StateSection) => restoreLearned(section, state, sensors)] as const,
      ),
      ...this.#judges.all.map(
        (tracker) =>
          [tracker.detector.name, (section: StateSection) => tracker.restoreDetector(section, sensors)] as const,
      ),
    ]);
    const leftOut: { section: string; why: string }[] = [];
    const leave = (name: string, why: string): void => void leftOut.push({ section: `${LEARNED}${name}`, why });
    for (const section of sections) {
      if (!section.name.startsWith(LEARNED)) continue;
      const name = section.name.slice(LEARNED.length);
      const take = takers.get(name);
      takers.delete(name);
      if (take === undefined) {
        leave(name, 'there is no such detector now');
        continue;
      }
      try {
        take(section);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        leave(name, error.message);
      }
    }
    for (const name of takers.keys()) leave(name, 'the snapshot does not have it');
    return leftOut;
  }

  /** What is learned besides that of the detectors. */
  #learned(): readonly (readonly [name: string, state: LearnedState])[] {
    return [
      ['statistics-count', this.#statistics.count.state],
      ['statistics-time', this.#statistics.time.state],
      ['statistics-ew', this.#statistics.ew.state],
      ['recent', this.#recent.state],
    ];
  }

  /**
   * Forgets what is open of one rollup, because a record with all of it has gone out already; false if nothing is open.
   *
   * For a replay with another configuration: the records that the one before made stand, and what they count must not be counted again.
   */
  discardRollup(device: string, metric: string, start: EpochMs): boolean {
    const slot = this.#sensors.find(device, metric);
    return slot !== undefined && this.#rollups.discard(slot, start);
  }

  /** Lets out the rollups that end at or before `until`; how many. */
  #closeRollups(until: number, out: Collector<EngineOutput>): number {
    const before = this.#rollups.openCount;
    let closed: readonly RollupBucket[];
    do {
      closed = this.#rollups.closeUntil(until, limits.rollupsPerRecordMax);
      this.#emitRollups(closed, out);
    } while (closed.length > 0);
    return before - this.#rollups.openCount;
  }

  #emitRollups(buckets: readonly RollupBucket[], out: Collector<EngineOutput>): void {
    for (let begin = 0; begin < buckets.length; begin += limits.rollupsPerRecordMax) {
      const places = new Map<number, number>();
      const sensors: RollupSensor[] = [];
      const rollups = buckets.slice(begin, begin + limits.rollupsPerRecordMax).map((bucket): Rollup => {
        let sensor = places.get(bucket.slot);
        if (sensor === undefined) {
          sensor = sensors.push(this.#sensors.sensor(bucket.slot)) - 1;
          places.set(bucket.slot, sensor);
        }
        const { start, aggregate, moving, hash } = bucket;
        return { sensor, start, aggregate, moving, hash: Number.isNaN(hash.low) ? undefined : hash };
      });
      out.emit({ kind: 'rollups', rollups, sensors });
    }
  }

  /** Every sensor, in the order of their first readings. */
  *sensors(): Generator<SensorState> {
    for (let slot = 0; slot < this.#sensors.size; slot++) {
      const naming = (is: (tracker: EpisodeTracker) => boolean): string[] =>
        this.#judges.all.filter(is).map(({ detector }) => detector.name);
      yield {
        ...this.#sensors.sensor(slot),
        newestAt: this.#sensors.newestAt(slot),
        newestValue: this.#sensors.newestValue(slot),
        moving: this.#statistics.snapshot(slot),
        anomalies: naming((tracker) => tracker.isOpen(slot)),
        warmingUp: naming((tracker) => tracker.judgement(slot) === 'warming-up'),
      };
    }
  }
}
