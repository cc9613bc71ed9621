import { type EpochMs, epochMs, type Reading, type RollupSensor, type SensorName } from '@floorwatch/contracts';

import { LearnedState } from '../stats/learned-state.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import type { SensorRows } from '../stats/sensor-rows.ts';
import { IntervalDetector } from './adaptive/interval-detector.ts';
import { INTERVAL_DECADES_MIN } from './adaptive/parameters.ts';
import type { Detector, Verdict } from './detector.ts';
import { durationInWords } from './duration-words.ts';
import type { EpisodeEvent, EpisodeTracker } from './episode-tracker.ts';
import { findRule } from './sensor-pattern.ts';
import type { SwitchConfig } from './switch-config.ts';
import { nameOf } from './wording.ts';

/** A silence so many times as long as the sensor's cadence allows is critical. */
const CRITICAL_FACTOR = 5;

/** The silence of a sensor, as far as an episode tells of it. Its judgements come from the clock, so it judges no reading. */
export class SilentDetector implements Detector {
  readonly name = 'silent';
  readonly version = 1;
  readonly closeAfterReadings = 1;
  readonly #config: SwitchConfig;
  readonly #off: boolean[] = [];
  readonly #intervals: IntervalDetector;
  readonly state: LearnedState;

  constructor(config: SwitchConfig, rows?: SensorRows) {
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
  }

  judge(slot: number, _reading: ReadingInHand, verdict: Verdict): void {
    if (this.#off[slot] === true) verdict.judgement = 'off';
    else verdict.judgement = this.silentAfter(slot) === Infinity ? 'warming-up' : 'normal';
  }

  learn(slot: number, { times }: ReadingInHand): void {
    if (this.#off[slot] === true) return;
    this.#intervals.accept(slot, times, 0);
  }

  /** The instant after which the sensor is silent if no reading comes, epoch ms; Infinity while its cadence is unknown. */
  silentAfter(slot: number): number {
    return this.#off[slot] === true ? Infinity : this.#intervals.silentAfter(slot);
  }

  /** Event time of its newest reading; NaN or −∞: there is none. */
  newestAt(slot: number): number {
    return this.#intervals.newestAt(slot);
  }

  /** … after which its silence is critical. */
  criticalAfter(slot: number): number {
    const newest = this.#intervals.newestAt(slot);
    return newest + CRITICAL_FACTOR * (this.silentAfter(slot) - newest);
  }

  explain(sensor: RollupSensor, slot: number): string {
    const allowed = this.silentAfter(slot) - this.#intervals.newestAt(slot);
    return `${nameOf(sensor)} has sent nothing for ${durationInWords(allowed)}; ${this.#usual(slot)}.`;
  }

  /** The sentence about a silence that has ended at `at`. To be asked before the reading that ended it is learned. */
  explainEnd(sensor: RollupSensor, slot: number, at: EpochMs): string {
    const lasted = at - this.#intervals.newestAt(slot);
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
}

/**
 * Opens an episode when a sensor has been silent for longer than its own cadence allows, and closes it with the next reading. The
 * time that counts is the gateway's watermark: event time, which follows the gateway's clock when nothing comes at all.
 *
 * An episode begins at the instant when the silence became too long, whoever notices it: the clock, or, in a recording that is read
 * faster than that, the reading that ends it. Both ways give the same episode.
 */
export class SilenceWatch {
  readonly tracker: EpisodeTracker;
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

  /** While the gateway was away nobody can say who was silent. Set until time has gone on since: the watermark when it came back. */
  #awayFrom: number | null = null;
  /** The time from which on silences count since the gateway was away. */
  #since = -Infinity;

  /** @param tracker makes the episodes of `detector`. */
  constructor(detector: SilentDetector, tracker: EpisodeTracker, newestValue: (slot: number) => number) {
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
    return { awayFrom: this.#awayFrom, since: this.#since === -Infinity ? null : this.#since };
  }

  restore({ awayFrom, since }: SavedSilence): void {
    this.#awayFrom = awayFrom;
    this.#since = since ?? -Infinity;
  }

  /** Whether there is anything to do for a sensor at the time `now`, or with a reading of that time. */
  isDue(slot: number, now: number): boolean {
    if (this.#awayFrom !== null && now > this.#awayFrom) {
      this.#awayFrom = null;
      this.#since = now;
    }
    return this.tracker.isOpen(slot) || now > this.#silentAfter(slot);
  }

  #silentAfter(slot: number): number {
    return this.#detector.silentAfter(slot) + this.#awayMs(slot);
  }

  /** How much of the sensor's silence the gateway was away. */
  #awayMs(slot: number): number {
    return Math.max(0, this.#since - this.#detector.newestAt(slot));
  }

  /** Looks at a sensor at the time `now`; the records that are due. */
  check(slot: number, now: number): EpisodeEvent[] {
    const detector = this.#detector;
    const silentAfter = this.#silentAfter(slot);
    if (!(now > silentAfter)) return [];
    const due: EpisodeEvent[] = [];
    if (!this.tracker.isOpen(slot)) {
      due.push(this.tracker.open(slot, epochMs(Math.ceil(silentAfter)), this.#newestValue(slot), this.#verdict));
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
