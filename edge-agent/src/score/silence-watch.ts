import { type EpochMs, epochMs, type RollupSensor, seconds, type SensorName } from '@floorwatch/contracts';

import { capacityFor, growFloat64 } from '../stats/grow.ts';
import { LearnedState } from '../stats/learned-state.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import type { SensorRows } from '../stats/sensor-rows.ts';
import { IntervalDetector } from './adaptive/interval-detector.ts';
import { INTERVAL_DECADES_MIN } from './adaptive/parameters.ts';
import type { Detector, Judgement, Verdict } from './detector.ts';
import { durationInWords } from './duration-words.ts';
import type { EpisodeEvent, EpisodeTracker } from './episode-tracker.ts';
import { findRule } from './sensor-pattern.ts';
import type { SilentConfig } from './silent-config.ts';
import { nameOf } from './wording.ts';

/** A silence so many times as long as the sensor's cadence allows is critical. */
const CRITICAL_FACTOR = 5;
/** Live messages of one sensor within a second are one arrival: what a device sends in a burst is one sign of life. */
const BURST_MS = seconds(1);

/**
 * The silence of a sensor, as far as an episode tells of it. Its judgements come from the clock, so it judges no reading. Times are those of
 * {@link SilenceWatch}.
 */
export class SilentDetector implements Detector {
  readonly name = 'silent';
  readonly version = 2;
  readonly closeAfterReadings = 1;
  readonly #config: SilentConfig;
  readonly #off: boolean[] = [];
  readonly #intervals: IntervalDetector;
  /**
   * By slot, what the intervals say of {@link silentAfter}, in a row of its own: the clock asks for all sensors at once. NaN: they have not
   * been asked yet.
   */
  #silentAfter = new Float64Array();
  /** Since when sensors are expected that had sent nothing then, by slot. */
  readonly #expectedFrom = new Map<number, number>();
  readonly state: LearnedState;

  constructor(config: SilentConfig, rows?: SensorRows) {
    this.#config = config;
    this.#intervals = new IntervalDetector(rows, config.by === 'arrivals' ? BURST_MS : 0);
    this.state = new LearnedState(
      { version: 1, basis: { by: config.by } },
      { rows: this.#intervals.table },
      (slot) => this.#off[slot] !== true,
    );
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#off[slot] = findRule(this.#config.rules, sensor)?.enabled === false;
    this.#intervals.forget(slot);
    if (slot >= this.#silentAfter.length) {
      this.#silentAfter = growFloat64(this.#silentAfter, capacityFor(slot + 1, slot), NaN);
    }
    this.#silentAfter[slot] = NaN;
  }

  /** From now on nobody misses the sensor. */
  exempt(slot: number): void {
    this.#off[slot] = true;
    this.#silentAfter[slot] = Infinity;
  }

  /** The sensor is missed if it sends nothing for too long from `from` on; once it has sent something, its own cadence counts. */
  expect(slot: number, from: number): void {
    if (this.#off[slot] === true || this.isHeard(slot)) return;
    this.#expectedFrom.set(slot, from);
    this.#silentAfter[slot] = from + this.#config.expectedWithinMs;
  }

  /** Sensors that were expected and have sent nothing, and since when. */
  unheard(): (readonly [slot: number, from: number])[] {
    return [...this.#expectedFrom].filter(([slot]) => !this.isHeard(slot));
  }

  /** Whether anything has come of the sensor. */
  isHeard(slot: number): boolean {
    return this.#intervals.isKnown(slot);
  }

  judge(slot: number, _reading: ReadingInHand, verdict: Verdict): void {
    verdict.judgement = this.judgement(slot);
  }

  /** What is to be said of a sensor that is not silent. */
  judgement(slot: number): Judgement {
    if (this.#off[slot] === true) return 'off';
    return this.#knowsCadence(slot) ? 'normal' : 'warming-up';
  }

  #knowsCadence(slot: number): boolean {
    this.#ask(slot);
    return this.#silentAfter[slot]! < Infinity;
  }

  /** Whether the sensor is silent if nothing has come until `times[0]`. */
  isSilentAt(slot: number, times: Float64Array): boolean {
    // Not by way of `silentAfter`: a number that a function returns is an object where that is not compiled into its caller.
    this.#ask(slot);
    return times[0]! > this.#silentAfter[slot]!;
  }

  /**
   * Learns that something came at `times[0]`.
   *
   * @param lags see `ReadingInHand`.
   * @param isAfterAbsence the gateway has not been able to hear the sensor all the time since its last arrival.
   */
  hear(slot: number, times: Float64Array, lags: Float64Array, isAfterAbsence: boolean): void {
    if (this.#off[slot] === true) return;
    if (isAfterAbsence || this.isSilentAt(slot, times)) this.#intervals.endGap(slot);
    if (isAfterAbsence) this.#intervals.resume(slot, times, 0);
    else this.#intervals.accept(slot, times, 0, lags);
    this.#silentAfter[slot] = this.#intervals.silentAfter(slot);
  }

  /** See {@link IntervalDetector.rests}. */
  rests(slot: number, gapMs: number): boolean {
    return this.#intervals.rests(slot, gapMs);
  }

  /** Usual milliseconds between arrivals of the sensor; 0 while nobody knows. */
  usualInterval(slot: number): number {
    return this.#intervals.usualInterval(slot);
  }

  /** The time after which the sensor is silent if nothing comes; Infinity while its cadence is unknown. */
  silentAfter(slot: number): number {
    this.#ask(slot);
    return this.#silentAfter[slot]!;
  }

  /** Makes sure that {@link #silentAfter} is known. */
  #ask(slot: number): void {
    if (!Number.isNaN(this.#silentAfter[slot]!)) return;
    this.#silentAfter[slot] = this.#off[slot] === true ? Infinity : this.#intervals.silentAfter(slot);
  }

  /** From when on its silence counts: its last arrival; without any, since when it is expected. */
  quietFrom(slot: number): number {
    return this.isHeard(slot) ? this.#intervals.newestAt(slot) : (this.#expectedFrom.get(slot) ?? 0);
  }

  /** … after which its silence is critical. */
  criticalAfter(slot: number): number {
    const from = this.quietFrom(slot);
    return from + CRITICAL_FACTOR * (this.silentAfter(slot) - from);
  }

  explain(sensor: RollupSensor, slot: number): string {
    const allowed = this.silentAfter(slot) - this.quietFrom(slot);
    if (!this.isHeard(slot))
      return `${nameOf(sensor)} is expected, and has sent nothing within ${durationInWords(allowed)}.`;
    return `${nameOf(sensor)} has sent nothing for ${durationInWords(allowed)}; ${this.#usual(slot)}.`;
  }

  /** The sentence about a silence that has ended at `time`. To be asked before the arrival that ended it is learned. */
  explainEnd(sensor: RollupSensor, slot: number, time: number): string {
    const lasted = time - this.quietFrom(slot);
    if (!this.isHeard(slot)) {
      // In a recording it may have been measured before it was expected, and come late.
      const after = lasted > 0 ? ` after ${durationInWords(lasted)}` : '';
      return `${nameOf(sensor)} is expected, and has sent its first reading${after}.`;
    }
    return `${nameOf(sensor)} was silent for ${durationInWords(lasted)}; ${this.#usual(slot)}.`;
  }

  #usual(slot: number): string {
    return `it usually reports every ${durationInWords(this.#intervals.usualInterval(slot))}`;
  }
}

/** What a snapshot keeps of {@link SilenceWatch}. */
export interface SavedSilence {
  readonly awayFrom: number | null;
  readonly since: number | null;
  readonly returnMs: number | null;
  /** Sensors that were expected and have sent nothing, and since when; absent: none. */
  readonly expected?: readonly (readonly [slot: number, from: number])[];
}

/**
 * Opens an episode when nothing has come of a sensor for longer than its own cadence allows, and closes it with the next arrival.
 *
 * The time that counts, in milliseconds, is for live sensors how long the gateway has listened (`ListeningTime`): a device's clock has no say
 * in it, and neither has what the agent was away for. In recordings it is event time.
 *
 * An episode begins at the instant when the silence became too long, whoever notices it: the clock, or, in a recording that is read
 * faster than that, the reading that ends it. Both ways give the same episode.
 */
export class SilenceWatch {
  readonly tracker: EpisodeTracker<SilentDetector>;
  readonly #detector: SilentDetector;
  readonly #newestValue: (slot: number) => number;
  readonly #verdict: Verdict = {
    judgement: 'anomalous',
    score: INTERVAL_DECADES_MIN,
    severity: 'warning',
    anomalyKind: 'silent',
    low: null,
    high: null,
  };

  /** While the gateway was away nobody can say who was silent. Set until time has gone on since: the time when it came back. */
  #awayFrom: number | null = null;
  /** The time since which the gateway has been able to hear without a break. */
  #since = -Infinity;
  /** How long sensors that have not been heard since then may take to come back, besides what is left of their time; null: all of their time anew. */
  #returnMs: number | null = null;

  /** @param tracker makes the episodes of `detector`. */
  constructor(
    detector: SilentDetector,
    tracker: EpisodeTracker<SilentDetector>,
    newestValue: (slot: number) => number,
  ) {
    this.#detector = detector;
    this.tracker = tracker;
    this.#newestValue = newestValue;
  }

  /**
   * The gateway is away: what its sensors do meanwhile is not known. Unless {@link back} tells when that ends, it does with the next time that is later,
   * and each sensor has all of its time again.
   *
   * @param time where time stands; undefined: it has not begun.
   */
  away(time: number | undefined): void {
    this.#awayFrom = time ?? null;
    this.#returnMs = null;
  }

  /**
   * The gateway is back, at a time later than that of any arrival before.
   *
   * @param returnMs how long devices may take to come back, in milliseconds, besides what is left of their time.
   */
  back(time: number, returnMs: number): void {
    this.#awayFrom = null;
    this.#since = time;
    this.#returnMs = returnMs;
  }

  /** What {@link restore} takes. */
  snapshot(): SavedSilence {
    const expected = this.#detector.unheard();
    return {
      awayFrom: this.#awayFrom,
      since: this.#since === -Infinity ? null : this.#since,
      returnMs: this.#returnMs,
      ...(expected.length > 0 && { expected }),
    };
  }

  /** To be called when the sensors are known that the snapshot is of. */
  restore({ awayFrom, since, returnMs, expected = [] }: SavedSilence): void {
    this.#awayFrom = awayFrom;
    this.#since = since ?? -Infinity;
    this.#returnMs = returnMs;
    for (const [slot, from] of expected) this.#detector.expect(slot, from);
  }

  /** See {@link SilentDetector.expect}; a sensor that is expected already stays so. */
  expect(slots: readonly number[], from: number): void {
    const known = new Set(this.#detector.unheard().map(([slot]) => slot));
    for (const slot of slots) if (!known.has(slot)) this.#detector.expect(slot, from);
  }

  exempt(slot: number): void {
    this.#detector.exempt(slot);
  }

  /** Whether the value of a reading is to rest, because of a gap of `gapMs` before it; to be asked once of each. */
  rests(slot: number, gapMs: number): boolean {
    return this.#detector.rests(slot, gapMs);
  }

  /** See {@link SilentDetector.usualInterval}. */
  usualInterval(slot: number): number {
    return this.#detector.usualInterval(slot);
  }

  /** Whether {@link check} may have anything to do for a sensor at the time `times[0]`. */
  isDue(slot: number, times: Float64Array): boolean {
    if (this.#awayFrom !== null) {
      if (!(times[0]! > this.#awayFrom)) return this.tracker.isOpen(slot);
      this.#awayFrom = null;
      this.#since = times[0]!;
    }
    return this.tracker.isOpen(slot) || this.#detector.isSilentAt(slot, times);
  }

  /** Looks at a sensor at the time `time`, which is `at` in its records; the records that are due. */
  check(slot: number, time: number, at: EpochMs): EpisodeEvent[] {
    const detector = this.#detector;
    const allowance = this.#allowance(slot);
    const silentAfter = detector.silentAfter(slot) + allowance;
    if (!(time > silentAfter)) return [];
    const instantOf = (then: number): EpochMs => epochMs(Math.ceil(at - (time - then)));
    const due: EpisodeEvent[] = [];
    if (!this.tracker.isOpen(slot)) {
      const value = this.#newestValue(slot);
      // A sensor that was never heard has no value; nothing is judged by it.
      const shown = Number.isNaN(value) ? 0 : value;
      due.push(this.tracker.open(slot, instantOf(silentAfter), shown, this.#verdict));
    }
    const criticalAfter = detector.criticalAfter(slot) + allowance;
    if (time > criticalAfter) {
      const worse = this.tracker.escalate(slot, instantOf(criticalAfter));
      if (worse !== undefined) due.push(worse);
    }
    return due;
  }

  /** What a sensor that has not been heard since the gateway was away has besides what its cadence allows. */
  #allowance(slot: number): number {
    if (!this.#isUnheardSince(slot)) return 0;
    if (this.#returnMs === null) return this.#since - this.#detector.quietFrom(slot);
    return Math.max(0, this.#since - this.#detector.silentAfter(slot)) + this.#returnMs;
  }

  #isUnheardSince(slot: number): boolean {
    return this.#awayFrom !== null || this.#detector.quietFrom(slot) < this.#since;
  }

  /**
   * Something has come of a sensor at the time `times[0]`, which is `at` in its records. The records that are due.
   *
   * @param sensor asked for only if there are any.
   * @param lags see `ReadingInHand`.
   */
  hear(
    slot: number,
    sensor: (slot: number) => RollupSensor,
    times: Float64Array,
    lags: Float64Array,
    at: EpochMs,
  ): readonly EpisodeEvent[] {
    const due = this.isDue(slot, times) ? this.#end(slot, sensor, times[0]!, at) : NONE;
    const detector = this.#detector;
    this.tracker.note(slot, detector.judgement(slot));
    detector.hear(slot, times, lags, detector.isHeard(slot) && this.#isUnheardSince(slot));
    return due;
  }

  #end(slot: number, sensor: (slot: number) => RollupSensor, time: number, at: EpochMs): readonly EpisodeEvent[] {
    const due = this.check(slot, time, at);
    if (!this.tracker.isOpen(slot)) return due;
    const closed = this.tracker.close(slot, at, 'recovered', this.#detector.explainEnd(sensor(slot), slot, time));
    return closed === undefined ? due : [...due, closed];
  }
}

const NONE: readonly EpisodeEvent[] = [];
