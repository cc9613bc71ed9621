import type { EpochMs, RollupSensor, SensorName } from '@floorwatch/contracts';

import { capacityFor, growFloat64 } from '../stats/grow.ts';
import type { Detector, Verdict } from './detector.ts';
import type { RateConfig, RateRule } from './rate-config.ts';
import { findRule } from './sensor-pattern.ts';
import { nameOf, quantity } from './wording.ts';

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
  #lastAt = new Float64Array();
  #lastValue = new Float64Array();

  constructor(config: RateConfig) {
    this.closeAfterReadings = config.closeAfterReadings;
    this.#configured = config.rules;
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#rules[slot] = findRule(this.#configured, sensor);
    if (slot < this.#lastAt.length) return;
    const capacity = capacityFor(slot + 1, this.#lastAt.length);
    this.#lastAt = growFloat64(this.#lastAt, capacity, NaN);
    this.#lastValue = growFloat64(this.#lastValue, capacity);
  }

  judge(slot: number, at: EpochMs, value: number, verdict: Verdict): void {
    const rule = this.#rules[slot];
    if (rule === undefined) {
      verdict.judgement = 'off';
      return;
    }
    const seconds = (at - this.#lastAt[slot]!) / 1_000;
    if (!(seconds > 0)) {
      verdict.judgement = Number.isNaN(seconds) ? 'warming-up' : 'undecided';
      return;
    }
    const last = this.#lastValue[slot]!;
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
    const last = this.#lastValue[slot]!;
    const reach = ((verdict.high ?? NaN) - (verdict.low ?? NaN)) / 2;
    const rate = (Math.abs(value - last) / reach) * perSecondMax;
    const shown = (number: number): string => quantity(sensor, number, Math.abs(value - last) / 10);
    const way = value > last ? 'risen' : 'fallen';
    const speed = `${Number(rate.toPrecision(3))} per second; ${perSecondMax} per second are allowed`;
    return `${nameOf(sensor)} has ${way} from ${shown(last)} to ${shown(value)}, that is ${speed}.`;
  }

  learn(slot: number, at: EpochMs, value: number): void {
    if (at === this.#lastAt[slot]) return;
    this.#lastAt[slot] = at;
    this.#lastValue[slot] = value;
  }
}
