import type { RollupSensor, SensorName } from '@floorwatch/contracts';

import { LearnedState } from '../stats/learned-state.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import { RowTable } from '../stats/row-table.ts';
import type { SensorRows } from '../stats/sensor-rows.ts';
import type { Detector, Verdict } from './detector.ts';
import type { RateConfig, RateRule } from './rate-config.ts';
import { findRule } from './sensor-pattern.ts';
import { nameOf, quantity } from './wording.ts';

// One sensor's row: the last reading. Its time is NaN before the first.
const LAST_AT = 0;
const LAST_VALUE = 1;
const FIELDS = 2;

function clearRow(s: Float64Array, o: number): void {
  s[o + LAST_AT] = NaN;
  s[o + LAST_VALUE] = 0;
}

/** Scores are by decree, as for limits: 20 just beyond the limit, up to 30 far beyond. */
const SCORE = 20;
const SCORE_SPAN = 10;

/**
 * Changes faster than anything that the sensor measures can change. A change is that from the reading before, over the time between
 * the two; exactly the limit is allowed. Of several readings with one time, the first says how the value changed until then, and the
 * others are left undecided.
 */
export class RateDetector implements Detector {
  readonly name = 'rate';
  readonly version = 1;
  readonly closeAfterReadings: number;
  readonly #configured: readonly RateRule[];
  /** By slot; undefined where no rule matches. */
  readonly #rules: (RateRule | undefined)[] = [];
  readonly #table: RowTable;
  readonly state: LearnedState;

  constructor(config: RateConfig, rows?: SensorRows) {
    this.#table = new RowTable(FIELDS, rows, clearRow);
    this.state = new LearnedState(
      { version: 1, basis: {} },
      { rows: this.#table },
      (slot) => this.#rules[slot] !== undefined,
    );
    this.closeAfterReadings = config.closeAfterReadings;
    this.#configured = config.rules;
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#rules[slot] = findRule(this.#configured, sensor);
    this.#table.clear(slot);
  }

  judge(slot: number, { eventTime, value }: ReadingInHand, verdict: Verdict): void {
    const rule = this.#rules[slot];
    if (rule === undefined) {
      verdict.judgement = 'off';
      return;
    }
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    const seconds = (eventTime - s[o + LAST_AT]!) / 1_000;
    if (!(seconds > 0)) {
      verdict.judgement = Number.isNaN(seconds) ? 'warming-up' : 'undecided';
      return;
    }
    const last = s[o + LAST_VALUE]!;
    const reach = rule.perSecondMax * seconds;
    const change = Math.abs(value - last);
    if (change <= reach) {
      verdict.judgement = 'normal';
      return;
    }
    verdict.judgement = 'anomalous';
    verdict.score = SCORE + SCORE_SPAN * (1 - reach / change);
    verdict.severity = 'critical';
    verdict.anomalyKind = 'too-fast';
    verdict.low = last - reach;
    verdict.high = last + reach;
  }

  explain(sensor: RollupSensor, slot: number, value: number, verdict: Readonly<Verdict>): string {
    const { perSecondMax } = this.#rules[slot]!;
    const last = this.#table.state[this.#table.rowOf(slot) + LAST_VALUE]!;
    const reach = ((verdict.high ?? NaN) - (verdict.low ?? NaN)) / 2;
    const rate = (Math.abs(value - last) / reach) * perSecondMax;
    const shown = (number: number): string => quantity(sensor, number, Math.abs(value - last) / 10);
    const way = value > last ? 'risen' : 'fallen';
    const unit = sensor.unit === undefined ? '' : ` ${sensor.unit}`;
    const speed = `${Number(rate.toPrecision(3))}${unit} per second; ${perSecondMax}${unit} per second are allowed`;
    return `${nameOf(sensor)} has ${way} from ${shown(last)} to ${shown(value)}, that is ${speed}.`;
  }

  learn(slot: number, { eventTime, value }: ReadingInHand): void {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    if (this.#rules[slot] === undefined || eventTime === s[o + LAST_AT]) return;
    s[o + LAST_AT] = eventTime;
    s[o + LAST_VALUE] = value;
  }
}
