import type { RollupSensor, SensorName } from '@floorwatch/contracts';

import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import type { Detector, Verdict } from './detector.ts';
import type { LimitRule, LimitsConfig } from './limit-config.ts';
import { findRule } from './sensor-pattern.ts';
import { nameOf, quantity } from './wording.ts';

/** A rule with a number on every side. `low` and `high` are the innermost limits, the critical ones may lie further out. */
interface Limits {
  readonly low: number;
  readonly high: number;
  readonly criticalLow: number;
  readonly criticalHigh: number;
  readonly margin: number;
  /** The distance beyond a limit that counts as far, in the sensor's unit. */
  readonly scaleLow: number;
  readonly scaleHigh: number;
}

/** Scores of a value just beyond a limit; far beyond, they are higher by up to {@link SCORE_SPAN}. */
const WARNING_SCORE = 10;
const CRITICAL_SCORE = 20;
const SCORE_SPAN = 10;

/**
 * Hard limits. A value beyond a critical limit is critical, one beyond a warning limit alone a warning; a value on the limit is
 * within it. An episode closes when enough readings in a row are inside the innermost limits by the rule's margin. Judges from the
 * first reading on.
 *
 * A limit says nothing of probability, so its scores are by decree: 10 to 20 for a warning, 20 to 30 for a critical value, more the
 * further beyond. That ranks the readings of an episode and puts a crossed limit above most statistical surprises.
 */
export class LimitDetector implements Detector {
  readonly name = 'limit';
  readonly version = 1;
  readonly closeAfterReadings: number;
  readonly #rules: readonly LimitRule[];
  /** By slot; undefined where no rule matches. */
  readonly #limits: (Limits | undefined)[] = [];

  constructor(config: LimitsConfig) {
    this.#rules = config.rules;
    this.closeAfterReadings = config.closeAfterReadings;
  }

  addSensor(slot: number, sensor: SensorName): void {
    const rule = findRule(this.#rules, sensor);
    this.#limits[slot] = rule === undefined ? undefined : complete(rule);
  }

  judge(slot: number, { value }: ReadingInHand, verdict: Verdict): void {
    const own = this.#limits[slot];
    if (own === undefined) {
      verdict.judgement = 'off';
    } else if (value > own.high) {
      const critical = value > own.criticalHigh;
      const beyond = value - (critical ? own.criticalHigh : own.high);
      find(verdict, own, critical, 'above-limit', beyond / (beyond + own.scaleHigh));
    } else if (value < own.low) {
      const critical = value < own.criticalLow;
      const beyond = (critical ? own.criticalLow : own.low) - value;
      find(verdict, own, critical, 'below-limit', beyond / (beyond + own.scaleLow));
    } else {
      const inside = value <= own.high - own.margin && value >= own.low + own.margin;
      verdict.judgement = inside ? 'normal' : 'undecided';
    }
  }

  explain(sensor: RollupSensor, slot: number, value: number, verdict: Readonly<Verdict>): string {
    const own = this.#limits[slot]!;
    const critical = verdict.severity === 'critical';
    const above = value > own.high;
    const limit = above ? (critical ? own.criticalHigh : own.high) : critical ? own.criticalLow : own.low;
    const beyond = (value - limit) / 10;
    const seen = `${nameOf(sensor)} is ${quantity(sensor, value, beyond)}`;
    const which = `${above ? 'above' : 'below'} its ${critical ? 'limit' : 'warning limit'}`;
    return `${seen}, ${which} of ${quantity(sensor, limit, beyond)}.`;
  }
}

function complete(rule: LimitRule): Limits {
  const criticalLow = rule.low ?? -Infinity;
  const criticalHigh = rule.high ?? Infinity;
  const low = rule.warningLow ?? criticalLow;
  const high = rule.warningHigh ?? criticalHigh;
  return {
    low,
    high,
    criticalLow,
    criticalHigh,
    margin: rule.margin,
    scaleLow: scaleOf(low - criticalLow, rule.margin, low),
    scaleHigh: scaleOf(criticalHigh - high, rule.margin, high),
  };
}

/** The best idea that a rule gives of what is far: from warning to critical, else the margin, else the limit's own size. */
function scaleOf(step: number, margin: number, limit: number): number {
  if (step > 0 && step < Infinity) return step;
  return margin || Math.abs(limit) || 1;
}

function find(verdict: Verdict, own: Limits, critical: boolean, kind: string, far: number): void {
  verdict.judgement = 'anomalous';
  verdict.score = (critical ? CRITICAL_SCORE : WARNING_SCORE) + SCORE_SPAN * far;
  verdict.severity = critical ? 'critical' : 'warning';
  verdict.anomalyKind = kind;
  verdict.low = own.low === -Infinity ? null : own.low;
  verdict.high = own.high === Infinity ? null : own.high;
}
