import type { RollupSensor, SensorName } from '@floorwatch/contracts';

import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import type { Detector, Verdict } from './detector.ts';
import type { RangeConfig, RangeRule } from './range-config.ts';
import { findRule } from './sensor-pattern.ts';
import { nameOf, quantity } from './wording.ts';

/** By decree, as for limits: a value that cannot be is above any statistical surprise. */
const SCORE = 30;

/** Values that the sensor cannot measure: a broken wire, a code for "no value", a wrong scaling. A value on the border is possible. */
export class RangeDetector implements Detector {
  readonly name = 'range';
  readonly version = 1;
  readonly closeAfterReadings: number;
  readonly #configured: readonly RangeRule[];
  /** By slot; undefined where no rule matches. */
  readonly #rules: (RangeRule | undefined)[] = [];

  constructor(config: RangeConfig) {
    this.closeAfterReadings = config.closeAfterReadings;
    this.#configured = config.rules;
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#rules[slot] = findRule(this.#configured, sensor);
  }

  judge(slot: number, { value }: ReadingInHand, verdict: Verdict): void {
    const rule = this.#rules[slot];
    if (rule === undefined) {
      verdict.judgement = 'off';
      return;
    }
    const { low = -Infinity, high = Infinity } = rule;
    if (value >= low && value <= high) {
      verdict.judgement = 'normal';
      return;
    }
    verdict.judgement = 'anomalous';
    verdict.score = SCORE;
    verdict.severity = 'critical';
    verdict.anomalyKind = 'out-of-range';
    verdict.low = rule.low ?? null;
    verdict.high = rule.high ?? null;
  }

  explain(sensor: RollupSensor, _slot: number, value: number, verdict: Readonly<Verdict>): string {
    const shown = (number: number): string => quantity(sensor, number, Math.abs(value) / 1_000);
    const above = verdict.high !== null && value > verdict.high;
    const border = above ? verdict.high : verdict.low;
    const side = above ? `above ${shown(border ?? NaN)}, the most` : `below ${shown(border ?? NaN)}, the least`;
    return `${nameOf(sensor)} is ${shown(value)}, ${side} that this sensor can measure.`;
  }
}
