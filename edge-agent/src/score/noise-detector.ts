import type { RollupSensor, SensorName } from '@floorwatch/contracts';

import { maximumDecades, robustDelta } from './adaptive/block-maxima.ts';
import { LearnedState } from '../stats/learned-state.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import { RowTable } from '../stats/row-table.ts';
import type { SensorRows } from '../stats/sensor-rows.ts';
import type { Detector, Verdict } from './detector.ts';
import { findRule } from './sensor-pattern.ts';
import type { SwitchConfig } from './switch-config.ts';
import { nameOf } from './wording.ts';

// One sensor's row.
const COUNT = 0;
/** The last value and the one before. */
const LAST = 1;
const BEFORE = 2;
/** Readings of the current stretch, and the sum of their fluctuations. */
const FILL = 3;
const SUM = 4;
/** Closed stretches, and mean and variance of the logarithm of their mean fluctuation. */
const STRETCHES = 5;
const LOG_MEAN = 6;
const LOG_VARIANCE = 7;
/** e^LOG_MEAN, the usual fluctuation. */
const USUAL = 8;
const FIELDS = 9;

/** Readings of a stretch. */
const STRETCH_READINGS = 32;
/** Stretches before there is a usual fluctuation. */
const STRETCHES_MIN = 8;
/** A single fluctuation counts at most so many times the usual one: a spike or a step is no noise. */
const FLUCTUATION_MAX = 5;
/** Noise is as improbable as this, in decades, and so many times the usual; below the second figure it is over. */
const DECADES_MIN = 4;
const RATIO_MIN = 2;
const RATIO_NORMAL = 1.5;
/** Below this part of the value, a fluctuation is rounding. */
const RESOLUTION = 1e-9;

/**
 * Values that fluctuate more than they used to. A fluctuation is the size of the second difference, which neither a level nor a ramp
 * moves; its mean over {@link STRETCH_READINGS} readings is compared with those of all stretches before, as maxima of blocks are.
 * Judges at the end of a stretch, and is undecided within it.
 */
export class NoiseDetector implements Detector {
  static readonly bytesPerSensor = FIELDS * Float64Array.BYTES_PER_ELEMENT;

  readonly name = 'noise';
  readonly version = 1;
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
    this.state = new LearnedState({ version: 1, basis: {} }, { rows: this.#table }, (slot) => this.#off[slot] !== true);
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
    const fluctuation = Math.abs(value - 2 * s[o + LAST]! + s[o + BEFORE]!);
    s[o + BEFORE] = s[o + LAST]!;
    s[o + LAST] = value;
    s[o + COUNT] = s[o + COUNT]! + 1;
    verdict.judgement = s[o + STRETCHES]! < STRETCHES_MIN ? 'warming-up' : 'undecided';
    if (s[o + COUNT]! <= 2) return;
    const most = s[o + STRETCHES]! < STRETCHES_MIN ? Infinity : FLUCTUATION_MAX * s[o + USUAL]!;
    s[o + SUM] = s[o + SUM]! + (fluctuation < most ? fluctuation : most);
    const fill = s[o + FILL]! + 1;
    s[o + FILL] = fill;
    if (fill === STRETCH_READINGS) this.#close(s, o, value, verdict);
  }

  #close(s: Float64Array, o: number, value: number, verdict: Verdict): void {
    const mean = Math.max(s[o + SUM]! / STRETCH_READINGS, RESOLUTION * Math.abs(value), Number.MIN_VALUE);
    s[o + SUM] = 0;
    s[o + FILL] = 0;
    const log = Math.log(mean);
    const known = s[o + STRETCHES]!;
    this.#ratio = mean / s[o + USUAL]!;
    if (known >= STRETCHES_MIN) {
      const decades = maximumDecades(log, s[o + LOG_MEAN]!, s[o + LOG_VARIANCE]!, known);
      if (decades >= DECADES_MIN && this.#ratio >= RATIO_MIN) flag(verdict, decades);
      else verdict.judgement = this.#ratio < RATIO_NORMAL ? 'normal' : 'undecided';
    }
    const stretches = known + 1;
    const delta = robustDelta(log - s[o + LOG_MEAN]!, s[o + LOG_VARIANCE]!, stretches);
    s[o + STRETCHES] = stretches;
    s[o + LOG_MEAN] = s[o + LOG_MEAN]! + delta / stretches;
    s[o + LOG_VARIANCE] =
      s[o + LOG_VARIANCE]! + (delta * delta * (1 - 1 / stretches) - s[o + LOG_VARIANCE]!) / stretches;
    s[o + USUAL] = Math.exp(s[o + LOG_MEAN]!);
  }

  explain(sensor: RollupSensor): string {
    const often = Number(this.#ratio.toPrecision(2));
    return `${nameOf(sensor)} fluctuates ${often} times as much as usual, over its last ${STRETCH_READINGS} readings.`;
  }
}

function flag(verdict: Verdict, decades: number): void {
  verdict.judgement = 'anomalous';
  verdict.score = decades;
  verdict.severity = 'warning';
  verdict.anomalyKind = 'noisy';
  verdict.low = null;
  verdict.high = null;
}
