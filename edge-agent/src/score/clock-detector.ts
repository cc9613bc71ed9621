import type { RollupSensor, SensorName } from '@floorwatch/contracts';

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
const LAG_MS = 1;
const FIELDS = 2;

/** Readings in a row with earlier times than the sensor's newest that mean its clock, and not a few late arrivals. */
const READINGS_MIN = 5;
/** By decree: it is certain, and of more weight than a surprise, because the sensor is not judged meanwhile. */
const SCORE = 10;

/**
 * Event times that have gone back: a device whose clock was ahead and was set right, or one that was set wrong. Until they have caught up
 * with the sensor's newest reading, nothing that it sends can be judged, and an operator should know.
 */
export class ClockDetector implements Detector {
  readonly name = 'clock';
  readonly version = 1;
  /** A reading in order proves that its times go on. */
  readonly closeAfterReadings = 1;
  readonly #config: SwitchConfig;
  readonly #outOfOrderMs: number;
  readonly #off: boolean[] = [];
  readonly #table: RowTable;
  readonly state: LearnedState;

  /** @param outOfOrderMs how far back the time of a late arrival may be without being counted here */
  constructor(config: SwitchConfig, outOfOrderMs: number, rows?: SensorRows) {
    this.#table = new RowTable(FIELDS, rows);
    this.state = new LearnedState({ version: 1, basis: {} }, { rows: this.#table }, (slot) => this.#off[slot] !== true);
    this.#config = config;
    this.#outOfOrderMs = outOfOrderMs;
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#off[slot] = findRule(this.#config.rules, sensor)?.enabled === false;
    this.#table.clear(slot);
  }

  /** Judges a reading in order. */
  judge(slot: number, _reading: ReadingInHand, verdict: Verdict): void {
    const row = this.#table.rowOf(slot);
    this.#table.state[row + EARLIER] = 0;
    verdict.judgement = this.#off[slot] === true ? 'off' : 'normal';
  }

  /** Judges a reading that is older than its sensor's newest by `lagMs`. */
  judgeEarlier(slot: number, lagMs: number, verdict: Verdict): void {
    verdict.judgement = this.#off[slot] === true ? 'off' : 'undecided';
    if (verdict.judgement === 'off' || lagMs <= this.#outOfOrderMs) return;
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    const earlier = s[o + EARLIER]! + 1;
    s[o + EARLIER] = earlier;
    s[o + LAG_MS] = lagMs;
    if (earlier < READINGS_MIN) return;
    flagWithoutBand(verdict, 'clock', 'warning', SCORE);
  }

  explain(sensor: RollupSensor, slot: number): string {
    const back = durationInWords(this.#table.state[this.#table.rowOf(slot) + LAG_MS]!);
    return `${nameOf(sensor)} sends times ${back} earlier than its newest; it is not judged until they have caught up.`;
  }
}
