import type { RollupSensor, SensorName } from '@floorwatch/contracts';

import { maximumDecades, robustDelta } from './adaptive/block-maxima.ts';
import { THRESHOLDS } from './adaptive/parameters.ts';
import { LearnedState } from '../stats/learned-state.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import { RowTable } from '../stats/row-table.ts';
import type { SensorRows } from '../stats/sensor-rows.ts';
import { type Detector, flagWithoutBand, type Verdict } from './detector.ts';
import { findRule } from './sensor-pattern.ts';
import type { SwitchConfig } from './switch-config.ts';
import { nameOf } from './wording.ts';

// One sensor's row. What every reading needs comes first.
const COUNT = 0;
const LAST = 1;
/** In the current stretch: the length of the way that the values have gone, how far they came by it, and their mean. */
const PATH = 2;
const NET = 3;
const MEAN = 4;
/** Readings that were another value than the one before, and the mean size of such a change. */
const CHANGES = 5;
const CHANGE_SIZE = 6;
/** So much of a change counts in the current stretch; 0: all of it. */
const STEP_MAX = 7;
/** Closed stretches, and the mean of their means: the border between the lower and the upper level. */
const CLOSED = 8;
const BORDER = 9;
/** What is usual at the lower level, and behind it at the upper one. */
const LOWER = 10;

// What is usual at a level.
/** Closed stretches in which the values changed, and mean and variance of the logarithm of their fluctuation. */
const STRETCHES = 0;
const LOG_MEAN = 1;
const LOG_VARIANCE = 2;
/** e^LOG_MEAN, the usual fluctuation. */
const USUAL = 3;
const LEVEL_FIELDS = 4;

const UPPER = LOWER + LEVEL_FIELDS;
const FIELDS = UPPER + LEVEL_FIELDS;

/** Readings of a stretch. */
const STRETCH_READINGS = 32;
/** Stretches before there is a usual fluctuation, and how many the border between the levels remembers. */
const STRETCHES_MIN = 8;
const STRETCHES_REMEMBERED = 200;
/** A single change counts at most so many times the usual one: a spike or a step is no noise. */
const CHANGE_MAX = 5;
/** Changes before the mean size of one is trusted, and how many it remembers. */
const CHANGES_MIN = 20;
const CHANGES_REMEMBERED = 256;
/**
 * A stretch counts as if at least this part of its readings had changed by the mean size: how still a sensor stands that hardly ever
 * changes says nothing of its noise.
 */
const CHANGED_SHARE_MIN = 1 / 8;
/** Of a way that leads further than this part of its length, the values have gone somewhere: a ramp is no noise. */
const DIRECTION_MAX = 0.5;
/** Noise is as improbable as this, in decades, and so many times the usual; below the second figure it is over. */
const DECADES_MIN = THRESHOLDS.critical;
const RATIO_MIN = 2;
const RATIO_NORMAL = 1.5;
/** Below this part of the value, a change is rounding. */
const RESOLUTION = 1e-9;

/**
 * Values that fluctuate more than they used to: noise, or an oscillation. The fluctuation is the mean size of the changes from reading
 * to reading over {@link STRETCH_READINGS} readings; it is compared with that of all stretches before, as maxima of blocks are, apart
 * for those with a mean below and above the usual one: a machine that runs is not as quiet as one that rests. Judges at the end of a
 * stretch, and is undecided within it.
 */
export class NoiseDetector implements Detector {
  static readonly bytesPerSensor = FIELDS * Float64Array.BYTES_PER_ELEMENT;

  readonly name = 'noise';
  readonly version = 2;
  readonly closeAfterReadings = 1;
  readonly #config: SwitchConfig;
  readonly #off: boolean[] = [];
  readonly #table: RowTable;
  readonly state: LearnedState;
  /** The fluctuation of the stretch judged last over the usual one. */
  #ratio = 0;

  constructor(config: SwitchConfig, rows?: SensorRows) {
    this.#config = config;
    this.#table = new RowTable(FIELDS, rows);
    this.state = new LearnedState({ version: 2, basis: {} }, { rows: this.#table }, (slot) => this.#off[slot] !== true);
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#off[slot] = findRule(this.#config.rules, sensor)?.enabled === false;
    this.#table.clear(slot);
  }

  judge(slot: number, { value }: ReadingInHand, verdict: Verdict): void {
    if (this.#off[slot] === true) {
      verdict.judgement = 'off';
      return;
    }
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    const count = s[o + COUNT]! + 1;
    const difference = value - s[o + LAST]!;
    s[o + COUNT] = count;
    s[o + LAST] = value;
    verdict.judgement = count <= STRETCHES_MIN * STRETCH_READINGS ? 'warming-up' : 'undecided';
    if (count === 1) return;
    const change = Math.abs(difference) > RESOLUTION * Math.abs(value) ? difference : 0;
    if (change !== 0) learnChange(s, o, Math.abs(change));
    const most = s[o + STEP_MAX]! || Infinity;
    const step = Math.min(most, Math.max(-most, change));
    s[o + PATH] = s[o + PATH]! + Math.abs(step);
    s[o + NET] = s[o + NET]! + step;
    s[o + MEAN] = s[o + MEAN]! + value / STRETCH_READINGS;
    // The first reading has no change, so stretches begin with the second. Their length is a power of two: a remainder costs more.
    if (((count - 1) & (STRETCH_READINGS - 1)) === 0) this.#close(s, o, verdict);
  }

  #close(s: Float64Array, o: number, verdict: Verdict): void {
    const path = s[o + PATH]!;
    const size = s[o + CHANGE_SIZE]!;
    const isDirected = Math.abs(s[o + NET]!) > DIRECTION_MAX * path;
    const level = o + levelOf(s, o);
    s[o + PATH] = 0;
    s[o + NET] = 0;
    s[o + MEAN] = 0;
    const fluctuation = Math.max(path / STRETCH_READINGS, CHANGED_SHARE_MIN * size);
    // A sensor that has never changed has no noise to compare with.
    if (fluctuation === 0) {
      if (verdict.judgement === 'undecided') verdict.judgement = 'normal';
      return;
    }
    const log = Math.log(fluctuation);
    this.#ratio = fluctuation / s[level + USUAL]!;
    if (s[level + STRETCHES]! >= STRETCHES_MIN) {
      const decades = decadesOf(log, s, level, size);
      if (decades >= DECADES_MIN && this.#ratio >= RATIO_MIN && !isDirected)
        flagWithoutBand(verdict, 'noisy', 'critical', decades);
      else verdict.judgement = this.#ratio < RATIO_NORMAL ? 'normal' : 'undecided';
    }
    learnStretch(s, level, log);
    if (s[o + LOWER + STRETCHES]! + s[o + UPPER + STRETCHES]! < STRETCHES_MIN) return;
    s[o + STEP_MAX] = CHANGE_MAX * Math.max(s[o + LOWER + USUAL]!, s[o + UPPER + USUAL]!, size);
  }

  explain(sensor: RollupSensor): string {
    const often = Number(this.#ratio.toPrecision(2));
    return `${nameOf(sensor)} fluctuates ${often} times as much as usual, over its last ${STRETCH_READINGS} readings.`;
  }
}

function learnChange(s: Float64Array, o: number, size: number): void {
  const changes = s[o + CHANGES]! + 1;
  const mean = s[o + CHANGE_SIZE]!;
  const learned = changes > CHANGES_MIN ? Math.min(size, CHANGE_MAX * mean) : size;
  s[o + CHANGES] = changes;
  s[o + CHANGE_SIZE] = mean + (learned - mean) / Math.min(changes, CHANGES_REMEMBERED);
}

/** Which of the two levels the stretch that ends is at, as the place in the row of what is usual there; then the border learns it. */
function levelOf(s: Float64Array, o: number): number {
  const closed = s[o + CLOSED]! + 1;
  const above = s[o + MEAN]! - s[o + BORDER]!;
  s[o + CLOSED] = closed;
  s[o + BORDER] = s[o + BORDER]! + above / Math.min(closed, STRETCHES_REMEMBERED);
  return above > 0 ? UPPER : LOWER;
}

/** Decades of improbability of a fluctuation of e^`log` at a level, where a change has the given mean size. */
function decadesOf(log: number, s: Float64Array, level: number, changeSize: number): number {
  // Where only some readings change, how many do in a stretch is left to chance, more so the fewer they are.
  const chance = Math.max(0, changeSize / s[level + USUAL]! - 1) / STRETCH_READINGS;
  return maximumDecades(log, s[level + LOG_MEAN]!, s[level + LOG_VARIANCE]! + chance, s[level + STRETCHES]!);
}

function learnStretch(s: Float64Array, level: number, log: number): void {
  const stretches = s[level + STRETCHES]! + 1;
  const delta = robustDelta(log - s[level + LOG_MEAN]!, s[level + LOG_VARIANCE]!, stretches);
  s[level + STRETCHES] = stretches;
  s[level + LOG_MEAN] = s[level + LOG_MEAN]! + delta / stretches;
  s[level + LOG_VARIANCE] =
    s[level + LOG_VARIANCE]! + (delta * delta * (1 - 1 / stretches) - s[level + LOG_VARIANCE]!) / stretches;
  s[level + USUAL] = Math.exp(s[level + LOG_MEAN]!);
}
