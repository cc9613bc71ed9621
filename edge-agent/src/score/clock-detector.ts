import { minutes, type RollupSensor, type SensorName } from '@floorwatch/contracts';

import { LearnedState } from '../stats/learned-state.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import { RowTable } from '../stats/row-table.ts';
import type { SensorRows } from '../stats/sensor-rows.ts';
import { type Detector, flagWithoutBand, type Verdict } from './detector.ts';
import { durationInWords } from './duration-words.ts';
import { findRule } from './sensor-pattern.ts';
import type { SwitchConfig } from './switch-config.ts';
import { nameOf } from './wording.ts';

// One sensor's row: earlier readings in a row, and how far back the last one was.
const EARLIER = 0;
const BACK_MS = 1;
/** Readings in a row that came late, the least and the most that one of them did, and since when. */
const LATE = 2;
const LAG_MS = 3;
const LAG_MS_MAX = 4;
const LATE_SINCE = 5;
const FIELDS = 6;

/** Readings in a row with earlier times than the sensor's newest that mean its clock, and not a few late arrivals. */
const READINGS_MIN = 5;
/**
 * So late is a clock that lags: what networks and brokers hold up is less, and so is what a device gathers before it sends it, which is some of
 * its readings at a time.
 */
const LAG_MS_MIN = minutes(1);
const LAG_INTERVALS_MIN = 10;
/** So long, and so many readings in a row: the newest of a message or of a batch is never late when only the sending is. */
const LATE_MS_MIN = minutes(10);
const LATE_READINGS_MIN = 20;
/** A lag is steady if the most is at most so many times the least; otherwise it is the sending that takes its time. */
const STEADY_FACTOR = 1.5;
/** By decree: it is certain, and of more weight than a surprise, because the sensor is not judged meanwhile. */
const SCORE = 10;

/**
 * A device's clock that is wrong, as its event times tell:
 * - They have gone back: its clock was ahead and was set right, or was set wrong. Until they have caught up with the sensor's newest reading,
 *   nothing that it sends can be judged.
 * - They are steadily behind when they arrive: its clock lags, so that what it sends comes too late for the windows of its own time.
 */
export class ClockDetector implements Detector {
  readonly name = 'clock';
  readonly version = 2;
  /** A reading in order proves that its times go on, and one in time that its clock is right. */
  readonly closeAfterReadings = 1;
  readonly #config: SwitchConfig;
  readonly #outOfOrderMs: number;
  readonly #intervalOf: (slot: number) => number;
  readonly #off: boolean[] = [];
  readonly #table: RowTable;
  readonly state: LearnedState;

  /**
   * @param outOfOrderMs how far back the time of a late arrival may be without being counted here.
   * @param intervalOf usual milliseconds between arrivals of a sensor; 0: not known.
   */
  constructor(config: SwitchConfig, outOfOrderMs: number, intervalOf: (slot: number) => number, rows?: SensorRows) {
    this.#table = new RowTable(FIELDS, rows);
    this.state = new LearnedState({ version: 2, basis: {} }, { rows: this.#table }, (slot) => this.#off[slot] !== true);
    this.#config = config;
    this.#outOfOrderMs = outOfOrderMs;
    this.#intervalOf = intervalOf;
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#off[slot] = findRule(this.#config.rules, sensor)?.enabled === false;
    this.#table.clear(slot);
  }

  /** Judges a reading in order. */
  judge(slot: number, { lags }: ReadingInHand, verdict: Verdict): void {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    s[o + EARLIER] = 0;
    verdict.judgement = this.#off[slot] === true ? 'off' : 'normal';
    const lag = lags[0]!;
    if (lag < LAG_MS_MIN) s[o + LATE] = 0;
    else if (lag >= LAG_MS_MIN && verdict.judgement === 'normal') this.#judgeLate(slot, o, lags, verdict);
  }

  /** Judges a reading that came late. */
  #judgeLate(slot: number, o: number, lags: Float64Array, verdict: Verdict): void {
    const s = this.#table.state;
    const [lag, now] = [lags[0]!, lags[1]!];
    if (lag < LAG_INTERVALS_MIN * this.#intervalOf(slot)) {
      s[o + LATE] = 0;
      return;
    }
    if (s[o + LATE] === 0) beginLate(s, o, lags);
    else {
      s[o + LAG_MS] = Math.min(s[o + LAG_MS]!, lag);
      s[o + LAG_MS_MAX] = Math.max(s[o + LAG_MS_MAX]!, lag);
    }
    if (s[o + LAG_MS_MAX]! > STEADY_FACTOR * s[o + LAG_MS]!) beginLate(s, o, lags);
    const late = s[o + LATE]! + 1;
    s[o + LATE] = late;
    if (late < LATE_READINGS_MIN || now - s[o + LATE_SINCE]! < LATE_MS_MIN) verdict.judgement = 'undecided';
    else flagWithoutBand(verdict, 'clock', 'warning', SCORE);
  }

  /** Judges a reading that is older than its sensor's newest by `lagMs`. */
  judgeEarlier(slot: number, lagMs: number, verdict: Verdict): void {
    verdict.judgement = this.#off[slot] === true ? 'off' : 'undecided';
    if (verdict.judgement === 'off' || lagMs <= this.#outOfOrderMs) return;
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    const earlier = s[o + EARLIER]! + 1;
    s[o + EARLIER] = earlier;
    s[o + BACK_MS] = lagMs;
    if (earlier < READINGS_MIN) return;
    flagWithoutBand(verdict, 'clock', 'warning', SCORE);
  }

  explain(sensor: RollupSensor, slot: number): string {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    if (s[o + EARLIER] === 0) {
      const lag = durationInWords(s[o + LAG_MS]!);
      return `${nameOf(sensor)} sends times that are ${lag} behind when they arrive; the clock of its device lags.`;
    }
    const back = durationInWords(s[o + BACK_MS]!);
    return `${nameOf(sensor)} sends times ${back} earlier than its newest; it is not judged until they have caught up.`;
  }
}

/** The reading in hand is the first that counts towards a steady lag. */
function beginLate(s: Float64Array, o: number, lags: Float64Array): void {
  s[o + LATE] = 0;
  s[o + LAG_MS] = lags[0]!;
  s[o + LAG_MS_MAX] = lags[0]!;
  s[o + LATE_SINCE] = lags[1]!;
}
