import type { CloseReason, Collector, EpochMs, GatewayName, Reading, RollupSensor } from '@floorwatch/contracts';

import type { EngineConfig } from '../sensor-engine-config.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import type { SensorRows } from '../stats/sensor-rows.ts';
import { createStatistic, type SensorStatistics } from '../stats/sensor-statistics.ts';
import { AdaptiveJudge } from './adaptive/adaptive-judge.ts';
import { StuckJudge } from './adaptive/stuck-judge.ts';
import { ClockDetector } from './clock-detector.ts';
import type { Detector, Verdict } from './detector.ts';
import { type EpisodeEvent, EpisodeTracker, type SensorContext } from './episode-tracker.ts';
import { LimitDetector } from './limit-detector.ts';
import { NoiseDetector } from './noise-detector.ts';
import { RangeDetector } from './range-detector.ts';
import { RateDetector } from './rate-detector.ts';
import { RelatedEpisodes } from './related-episodes.ts';
import { adoptAfterMs } from './level-hold.ts';
import { SilenceWatch, SilentDetector } from './silence-watch.ts';
import { UnitDetector } from './unit-detector.ts';
import { ZScoreDetector } from './z-score-detector.ts';

/** What the detectors are made for. */
export interface JudgesParts {
  readonly gateway: GatewayName;
  readonly context: SensorContext;
  readonly rows: SensorRows;
  readonly statistics: SensorStatistics;
  readonly newestValue: (slot: number) => number;
  /** Event time of a sensor's newest reading, before the first one earlier than any time. */
  readonly newestAt: (slot: number) => number;
  /** What judges the readings, besides those that the configuration sets up. */
  readonly further: readonly Detector[];
}

/** Where records of episodes go. */
export type EpisodeCollector = Collector<{ readonly kind: 'episode'; readonly episode: EpisodeEvent }>;

/**
 * All detectors of one gateway, and the episodes that they find. Every reading is judged by each of them, one after the other.
 *
 * The detectors stand here by name, and not in one list, because a reading costs a third less so: where a call can reach only one of
 * them, it is compiled into its caller.
 */
export class Judges {
  /** In the order in which they judge, those of times last. */
  readonly all: readonly EpisodeTracker[];
  readonly related = new RelatedEpisodes();
  readonly silence: SilenceWatch | undefined;
  readonly #unit: EpisodeTracker<UnitDetector> | undefined;
  readonly #clock: EpisodeTracker<ClockDetector> | undefined;
  /** Judges before those that judge values: what a sensor cannot have measured tells them nothing. */
  readonly #range: EpisodeTracker<RangeDetector> | undefined;
  readonly #limit: EpisodeTracker<LimitDetector> | undefined;
  readonly #rate: EpisodeTracker<RateDetector> | undefined;
  readonly #zScore: EpisodeTracker<ZScoreDetector> | undefined;
  readonly #adaptive: EpisodeTracker<AdaptiveJudge> | undefined;
  readonly #stuck: EpisodeTracker<StuckJudge> | undefined;
  readonly #noise: EpisodeTracker<NoiseDetector> | undefined;
  readonly #further: readonly EpisodeTracker[];
  readonly #sensor: (slot: number) => RollupSensor;
  readonly #newestValue: (slot: number) => number;
  readonly #newestAt: (slot: number) => number;
  /** Whether the reading in hand comes so soon after a gap that nothing opens because of its value. */
  #rests = false;
  /** Whether the z-score need not judge a sensor that the adaptive detector knows: it may report nothing there, and learns nothing. */
  readonly #zScoreRests: boolean;
  /** Whether the z-score gets used to what lasts; otherwise a level stays anomalous until values return, as a person wants it. */
  readonly #zScoreLearns: boolean;
  /** The one verdict that all detectors write into. */
  readonly #verdict: Verdict = {
    judgement: 'off',
    score: 0,
    severity: 'warning',
    anomalyKind: '',
    low: null,
    high: null,
  };

  constructor(config: EngineConfig, parts: JudgesParts) {
    const { gateway, context, rows, statistics } = parts;
    const track = <D extends Detector>(detector: D): EpisodeTracker<D> =>
      new EpisodeTracker(detector, gateway, context);
    const { watch, base, learnFlagged } = config.zScore;
    if (config.silent.enabled) {
      const silent = new SilentDetector(config.silent, rows);
      this.silence = new SilenceWatch(silent, track(silent), parts.newestValue);
    }
    if (config.unit.enabled) this.#unit = track(new UnitDetector(config.unit));
    if (config.clock.enabled) {
      const intervalOf = (slot: number): number => this.silence?.usualInterval(slot) ?? 0;
      this.#clock = track(new ClockDetector(config.clock, config.watermark.outOfOrderMs, intervalOf, rows));
    }
    if (config.range.rules.length > 0) this.#range = track(new RangeDetector(config.range));
    if (config.limits.rules.length > 0) this.#limit = track(new LimitDetector(config.limits));
    if (config.rate.rules.length > 0) {
      const mayOpen = (slot: number, reading: Reading): boolean => !this.#isWayBack(slot, reading);
      this.#rate = new EpisodeTracker(new RateDetector(config.rate, rows), gateway, context, mayOpen);
    }
    // The z-score and the adaptive detector judge the same thing: how far a value is from what is usual. Until the adaptive one has a full
    // history of a sensor, whichever finds a fault first reports it; from then on the adaptive one alone does.
    const shared = watch === 'cold-start' && config.adaptive.enabled;
    if (watch !== 'never') {
      const baseline = learnFlagged ? statistics[base] : createStatistic(base, config.statistics, rows);
      const mayOpen = (slot: number, reading: Reading): boolean =>
        !this.#rests &&
        !(
          shared &&
          (this.#leavesToAdaptive(slot) || this.#adaptive?.isOpen(slot) === true || this.#isTooEarly(slot))
        ) &&
        !this.#isReturn(slot, reading);
      this.#zScore = new EpisodeTracker(new ZScoreDetector(config.zScore, baseline), gateway, context, mayOpen);
    }
    this.#sensor = (slot) => context.sensor(slot);
    this.#newestValue = parts.newestValue;
    this.#newestAt = parts.newestAt;
    this.#zScoreRests = shared && learnFlagged;
    this.#zScoreLearns = learnFlagged;
    if (config.adaptive.enabled) {
      const mayOpen = (slot: number, reading: Reading): boolean =>
        !this.#rests && !(shared && this.#zScore?.isOpen(slot) === true) && !this.#isReturn(slot, reading);
      this.#adaptive = new EpisodeTracker(new AdaptiveJudge(config.adaptive, rows), gateway, context, mayOpen);
    }
    if (config.stuck.enabled) this.#stuck = track(new StuckJudge(config.stuck, rows));
    if (config.noise.enabled) this.#noise = track(new NoiseDetector(config.noise, rows));
    this.#further = parts.further.map((detector) => track(detector));
    const named: readonly (EpisodeTracker | undefined)[] = [
      this.#range,
      this.#limit,
      this.#rate,
      this.#zScore,
      this.#adaptive,
      this.#stuck,
      this.#noise,
      ...this.#further,
      this.silence?.tracker,
      this.#unit,
      this.#clock,
    ];
    this.all = named.filter((tracker) => tracker !== undefined);
  }

  addSensor(slot: number, sensor: RollupSensor): void {
    for (const tracker of this.all) tracker.addSensor(slot, sensor);
  }

  /**
   * Judges and learns a reading that is not older than its sensor's newest; true if an episode holds it that tells of its value.
   *
   * @param hand the same reading.
   */
  judge(slot: number, reading: Reading, hand: ReadingInHand, out: EpisodeCollector): boolean {
    const verdict = this.#verdict;
    this.#rests = this.silence?.rests(slot, reading.eventTime - this.#newestAt(slot)) === true;
    const unit = this.#unit;
    if (unit !== undefined && unit.isOpen(slot)) {
      unit.detector.judge(slot, hand, verdict);
      this.#settle(unit, slot, reading, out);
    }
    const clock = this.#clock;
    if (clock !== undefined) {
      clock.detector.judge(slot, hand, verdict);
      this.#settle(clock, slot, reading, out);
    }
    const range = this.#range;
    if (range !== undefined) {
      range.detector.judge(slot, hand, verdict);
      if (this.#settle(range, slot, reading, out)) return true;
    }
    return this.#judgeValue(slot, reading, hand, out);
  }

  /**
   * Judges what a reading in another unit says of the sensor that it is kept apart from: that it sends what it should not.
   *
   * @param slot of that sensor, whose newest reading is not newer.
   */
  judgeApart(slot: number, reading: Reading, out: EpisodeCollector): void {
    const verdict = this.#verdict;
    const unit = this.#unit;
    if (unit === undefined) return;
    unit.detector.judgeApart(slot, reading, verdict);
    if (unit.isOpen(slot)) this.#settle(unit, slot, reading, out);
    else if (verdict.judgement === 'anomalous') {
      unit.note(slot, verdict.judgement);
      // The reading's own value would be told in the sensor's unit.
      const value = this.#newestValue(slot);
      this.#tell(unit, slot, unit.open(slot, reading.eventTime, Number.isNaN(value) ? 0 : value, verdict), out);
    }
  }

  #judgeValue(slot: number, reading: Reading, hand: ReadingInHand, out: EpisodeCollector): boolean {
    const verdict = this.#verdict;
    let anomalous = false;
    const limit = this.#limit;
    if (limit !== undefined) {
      limit.detector.judge(slot, hand, verdict);
      if (this.#settle(limit, slot, reading, out)) anomalous = true;
    }
    const rate = this.#rate;
    if (rate !== undefined) {
      rate.detector.judge(slot, hand, verdict);
      if (this.#settle(rate, slot, reading, out)) anomalous = true;
      rate.detector.learn(slot, hand);
    }
    const zScore = this.#zScore;
    if (zScore !== undefined && this.#zScoreRests && this.#leavesToAdaptive(slot) && !zScore.isOpen(slot)) {
      zScore.note(slot, 'off');
    } else if (zScore !== undefined) {
      zScore.detector.judge(slot, hand, verdict);
      const flagged = verdict.judgement === 'anomalous';
      const isHeld = this.#zScoreLearns
        ? this.#settleLevel(zScore, slot, reading, out)
        : this.#settle(zScore, slot, reading, out);
      if (isHeld) anomalous = true;
      zScore.detector.learn(slot, hand, flagged);
    }
    const adaptive = this.#adaptive;
    if (adaptive !== undefined) {
      adaptive.detector.judge(slot, hand, verdict);
      if (this.#settleLevel(adaptive, slot, reading, out)) anomalous = true;
    }
    const stuck = this.#stuck;
    if (stuck !== undefined) {
      stuck.detector.judge(slot, hand, verdict);
      if (this.#settle(stuck, slot, reading, out)) anomalous = true;
    }
    const noise = this.#noise;
    if (noise !== undefined) {
      noise.detector.judge(slot, hand, verdict);
      if (this.#settle(noise, slot, reading, out)) anomalous = true;
    }
    for (const tracker of this.#further) {
      tracker.detector.judge(slot, hand, verdict);
      const flagged = verdict.judgement === 'anomalous';
      if (this.#settle(tracker, slot, reading, out)) anomalous = true;
      tracker.detector.learn?.(slot, hand, flagged);
    }
    return anomalous;
  }

  /** Makes what the verdict says of the reading; true if an episode of the tracker holds the reading. */
  #settle(tracker: EpisodeTracker, slot: number, reading: Reading, out: EpisodeCollector): boolean {
    const verdict = this.#verdict;
    if (!tracker.note(slot, verdict.judgement)) return false;
    const episode = tracker.observe(slot, reading, verdict);
    if (episode !== undefined) this.#tell(tracker, slot, episode, out);
    // What a detector finds but leaves to another one belongs to no episode of its own.
    return verdict.judgement === 'anomalous' && tracker.isOpen(slot);
  }

  /**
   * As {@link #settle}, of a detector that gets used to what lasts. While the value is where it was when the episode opened, the episode is open, and
   * when it is back where it was before, it is normal, whatever the detector has got used to; until so much time has passed that it is taken as normal.
   */
  #settleLevel(tracker: EpisodeTracker, slot: number, reading: Reading, out: EpisodeCollector): boolean {
    if (!tracker.isOpen(slot)) return this.#settle(tracker, slot, reading, out);
    const verdict = this.#verdict;
    const standing = tracker.standing(slot, reading.value);
    if (standing === 'back') verdict.judgement = 'normal';
    if (standing !== 'held') return this.#settle(tracker, slot, reading, out);
    const openMs = tracker.openMs(slot, reading.eventTime);
    if (openMs >= adoptAfterMs(this.#knownMs(slot, reading.eventTime) - openMs)) {
      const adopted = tracker.adopt(slot, reading.eventTime);
      if (adopted !== undefined) this.#tell(tracker, slot, adopted, out);
      return false;
    }
    if (verdict.judgement === 'normal') verdict.judgement = 'undecided';
    this.#settle(tracker, slot, reading, out);
    return true;
  }

  /** Whether the z-score's verdict in hand is a warning about a sensor that the adaptive detector still learns: too little is known of it for one. */
  #isTooEarly(slot: number): boolean {
    return this.#verdict.severity === 'warning' && this.#adaptive?.detector.watches(slot) === true;
  }

  /** How long the sensor has been known at `at`, in milliseconds. */
  #knownMs(slot: number, at: EpochMs): number {
    return at - (this.#adaptive?.detector.firstAt(slot) ?? -Infinity);
  }

  /** Whether a reading ends a fault of the level: the change back is as fast as the one before, and no second fault. */
  #isWayBack(slot: number, { value }: Reading): boolean {
    return [this.#zScore, this.#adaptive].some(
      (tracker) => tracker?.isOpen(slot) === true && tracker.standing(slot, value) === 'back',
    );
  }

  #isReturn(slot: number, reading: Reading): boolean {
    return this.#zScore?.isReturn(slot, reading) === true || this.#adaptive?.isReturn(slot, reading) === true;
  }

  #leavesToAdaptive(slot: number): boolean {
    return this.#adaptive !== undefined && this.#adaptive.detector.hasFullHistory(slot);
  }

  /** Judges a reading that is older than its sensor's newest by `lagMs`. */
  judgeEarlier(slot: number, reading: Reading, lagMs: number, out: EpisodeCollector): void {
    const clock = this.#clock;
    if (clock === undefined) return;
    clock.detector.judgeEarlier(slot, lagMs, this.#verdict);
    this.#settle(clock, slot, reading, out);
  }

  /** Whether the sensor's newest reading is one that it cannot have measured. */
  isOutOfRange(slot: number): boolean {
    return this.#range !== undefined && this.#range.judgement(slot) === 'anomalous';
  }

  /** Something has come of the sensor at the time `times[0]` (see {@link SilenceWatch}), which is `at` in records. @param lags see `ReadingInHand`. */
  hear(slot: number, times: Float64Array, lags: Float64Array, at: EpochMs, out: EpisodeCollector): void {
    const { silence } = this;
    if (silence === undefined) return;
    const records = silence.hear(slot, this.#sensor, times, lags, at);
    if (records.length > 0) this.#tellAll(silence.tracker, slot, records, out);
  }

  /** Looks which of the sensors have been silent for too long at the time `times[0]`, which is `at` in records. */
  listen(sensors: number, times: Float64Array, at: EpochMs, out: EpisodeCollector): void {
    const { silence } = this;
    if (silence === undefined) return;
    for (let slot = 0; slot < sensors; slot++) {
      if (silence.isDue(slot, times)) this.#tellAll(silence.tracker, slot, silence.check(slot, times[0]!, at), out);
    }
  }

  /** Closes all open episodes. @param newestAt event time of a sensor's newest reading. */
  close(sensors: number, newestAt: (slot: number) => EpochMs, reason: CloseReason, out: EpisodeCollector): void {
    for (const tracker of this.all) {
      for (let slot = 0; slot < sensors; slot++) {
        const episode = tracker.close(slot, newestAt(slot), reason);
        if (episode !== undefined) this.#tell(tracker, slot, episode, out);
      }
    }
  }

  #tellAll(tracker: EpisodeTracker, slot: number, records: readonly EpisodeEvent[], out: EpisodeCollector): void {
    for (const record of records) this.#tell(tracker, slot, record, out);
  }

  #tell(tracker: EpisodeTracker, slot: number, record: EpisodeEvent, out: EpisodeCollector): void {
    for (const episode of this.related.follow(tracker, slot, record)) out.emit({ kind: 'episode', episode });
  }
}
