import { type EpochMs, epochMs, type Reading, type RollupSensor, type SensorName } from '@floorwatch/contracts';

import { capacityFor, growFloat64 } from '../stats/grow.ts';
import { LearnedState } from '../stats/learned-state.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import type { SensorRows } from '../stats/sensor-rows.ts';
import { IntervalDetector } from './adaptive/interval-detector.ts';
import { INTERVAL_DECADES_MIN } from './adaptive/parameters.ts';
import type { Detector, Verdict } from './detector.ts';
import { durationInWords } from './duration-words.ts';
import type { EpisodeEvent, EpisodeTracker } from './episode-tracker.ts';
import { findRule } from './sensor-pattern.ts';
import type { SilentConfig } from './silent-config.ts';
import { nameOf } from './wording.ts';

/** A silence so many times as long as the sensor's cadence allows is critical. */
const CRITICAL_FACTOR = 5;

/** The silence of a sensor, as far as an episode tells of it. Its judgements come from the clock, so it judges no reading. */
export class SilentDetector implements Detector {
  readonly name = 'silent';
  readonly version = 1;
  readonly closeAfterReadings = 1;
  readonly #config: SilentConfig;
  readonly #off: boolean[] = [];
  readonly #intervals: IntervalDetector;
  /**
   * By slot, what the intervals say of {@link silentAfter}, in a row of its own: the clock asks for all sensors at once. NaN: they have not
   * been asked yet.
   */
  #silentAfter = new Float64Array();
  /** Since when sensors are expected that had sent nothing then, by slot; epoch milliseconds. */
  readonly #expectedFrom = new Map<number, number>();
  readonly state: LearnedState;

  constructor(config: SilentConfig, rows?: SensorRows) {
    this.#config = config;
    this.#intervals = new IntervalDetector(rows);
    this.state = new LearnedState(
      { version: 1, basis: {} },
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
    if (this.#off[slot] === true || this.#isHeard(slot)) return;
    this.#expectedFrom.set(slot, from);
    this.#silentAfter[slot] = from + this.#config.expectedWithinMs;
  }

  /** Sensors that were expected and have sent nothing, and since when. */
  unheard(): (readonly [slot: number, from: number])[] {
    return [...this.#expectedFrom].filter(([slot]) => !this.#isHeard(slot));
  }

  #isHeard(slot: number): boolean {
    return this.#intervals.newestAt(slot) > 0;
  }

  judge(slot: number, _reading: ReadingInHand, verdict: Verdict): void {
    if (this.#off[slot] === true) verdict.judgement = 'off';
    else verdict.judgement = this.#knowsCadence(slot) ? 'normal' : 'warming-up';
  }

  #knowsCadence(slot: number): boolean {
    this.#ask(slot);
    return this.#silentAfter[slot]! < Infinity;
  }

  /** Whether the sensor is silent if no reading has come until `times[0]`. */
  isSilentAt(slot: number, times: Float64Array): boolean {
    // Not by way of `silentAfter`: a number that a function returns is an object where that is not compiled into its caller.
    this.#ask(slot);
    return times[0]! > this.#silentAfter[slot]!;
  }

  learn(slot: number, { times }: ReadingInHand): void {
    if (this.#off[slot] === true) return;
    this.#intervals.accept(slot, times, 0);
    this.#silentAfter[slot] = this.#intervals.silentAfter(slot);
  }

  /** The instant after which the sensor is silent if no reading comes, epoch ms; Infinity while its cadence is unknown. */
  silentAfter(slot: number): number {
    this.#ask(slot);
    return this.#silentAfter[slot]!;
  }

  /** Makes sure that {@link #silentAfter} is known. */
  #ask(slot: number): void {
    if (!Number.isNaN(this.#silentAfter[slot]!)) return;
    this.#silentAfter[slot] = this.#off[slot] === true ? Infinity : this.#intervals.silentAfter(slot);
  }

  /** From when on its silence counts: the event time of its newest reading; without any, since when it is expected. */
  quietFrom(slot: number): number {
    return this.#isHeard(slot) ? this.#intervals.newestAt(slot) : (this.#expectedFrom.get(slot) ?? 0);
  }

  /** … after which its silence is critical. */
  criticalAfter(slot: number): number {
    const from = this.quietFrom(slot);
    return from + CRITICAL_FACTOR * (this.silentAfter(slot) - from);
  }

  explain(sensor: RollupSensor, slot: number): string {
    const allowed = this.silentAfter(slot) - this.quietFrom(slot);
    if (!this.#isHeard(slot))
      return `${nameOf(sensor)} is expected, and has sent nothing within ${durationInWords(allowed)}.`;
    return `${nameOf(sensor)} has sent nothing for ${durationInWords(allowed)}; ${this.#usual(slot)}.`;
  }

  /** The sentence about a silence that has ended at `at`. To be asked before the reading that ended it is learned. */
  explainEnd(sensor: RollupSensor, slot: number, at: EpochMs): string {
    const lasted = at - this.quietFrom(slot);
    if (!this.#isHeard(slot)) {
      // It may have been measured before it was expected, and come late.
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
  /** Sensors that were expected and have sent nothing, and since when; absent: none. */
  readonly expected?: readonly (readonly [slot: number, from: number])[];
}

/**
 * Opens an episode when a sensor has been silent for longer than its own cadence allows, and closes it with the next reading. The
 * time that counts is the gateway's watermark: event time, which follows the gateway's clock when nothing comes at all.
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
  readonly #judged: Verdict = { ...this.#verdict, judgement: 'off' };

  /** While the gateway was away nobody can say who was silent. Set until time has gone on since: the watermark when it came back. */
  #awayFrom: number | null = null;
  /** The time from which on silences count since the gateway was away. */
  #since = -Infinity;

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

  /** The gateway was away for so long that its sensors must be heard anew. @param watermark where time stands. */
  away(watermark: number | undefined): void {
    this.#awayFrom = watermark ?? null;
  }

  /** What {@link restore} takes. */
  snapshot(): SavedSilence {
    const expected = this.#detector.unheard();
    return {
      awayFrom: this.#awayFrom,
      since: this.#since === -Infinity ? null : this.#since,
      ...(expected.length > 0 && { expected }),
    };
  }

  /** To be called when the sensors are known that the snapshot is of. */
  restore({ awayFrom, since, expected = [] }: SavedSilence): void {
    this.#awayFrom = awayFrom;
    this.#since = since ?? -Infinity;
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

  /** Whether {@link check} may have anything to do for a sensor at the time `times[0]`. */
  isDue(slot: number, times: Float64Array): boolean {
    if (this.#awayFrom !== null) {
      if (!(times[0]! > this.#awayFrom)) return this.tracker.isOpen(slot);
      this.#awayFrom = null;
      this.#since = times[0]!;
    }
    return this.tracker.isOpen(slot) || this.#detector.isSilentAt(slot, times);
  }

  /** Learns when a reading in order came, after {@link hear}. */
  learn(slot: number, hand: ReadingInHand): void {
    this.#detector.judge(slot, hand, this.#judged);
    this.tracker.note(slot, this.#judged.judgement);
    this.#detector.learn(slot, hand);
  }

  #silentAfter(slot: number): number {
    return this.#detector.silentAfter(slot) + this.#awayMs(slot);
  }

  /** How much of the sensor's silence the gateway was away. */
  #awayMs(slot: number): number {
    return Math.max(0, this.#since - this.#detector.quietFrom(slot));
  }

  /** Looks at a sensor at the time `now`; the records that are due. */
  check(slot: number, now: number): EpisodeEvent[] {
    const detector = this.#detector;
    const silentAfter = this.#silentAfter(slot);
    if (!(now > silentAfter)) return [];
    const due: EpisodeEvent[] = [];
    if (!this.tracker.isOpen(slot)) {
      const value = this.#newestValue(slot);
      // A sensor that was never heard has no value; nothing is judged by it.
      const shown = Number.isNaN(value) ? 0 : value;
      due.push(this.tracker.open(slot, epochMs(Math.ceil(silentAfter)), shown, this.#verdict));
    }
    const criticalAfter = detector.criticalAfter(slot) + this.#awayMs(slot);
    if (now > criticalAfter) {
      const worse = this.tracker.escalate(slot, epochMs(Math.ceil(criticalAfter)));
      if (worse !== undefined) due.push(worse);
    }
    return due;
  }

  /** Hears of a reading in order, before anything learns it; the records that are due. */
  hear(slot: number, sensor: RollupSensor, { eventTime }: Reading): EpisodeEvent[] {
    const due = this.check(slot, eventTime);
    if (!this.tracker.isOpen(slot)) return due;
    const sentence = this.#detector.explainEnd(sensor, slot, eventTime);
    const closed = this.tracker.close(slot, eventTime, 'recovered', sentence);
    return closed === undefined ? due : [...due, closed];
  }
}
