import type { RollupSensor, SensorName } from '@floorwatch/contracts';

import type { LearnedState } from '../stats/learned-state.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import type { Detector, Verdict } from './detector.ts';
import { normalTailScore } from './normal-tail.ts';
import { findRule } from './sensor-pattern.ts';
import { bandInWords, nameOf } from './wording.ts';
import type { ZScoreConfig, ZScoreRule } from './z-score-config.ts';

/** The moving mean and variance that readings are compared with, by slot. */
export interface Baseline {
  readonly state: LearnedState;
  reserve(slots: number): void;
  add(slot: number, reading: ReadingInHand): void;
  count(slot: number): number;
  mean(slot: number): number;
  deviation(slot: number, value: number): number;
  variance(slot: number): number;
}

/**
 * How many standard deviations a reading is from a moving mean. Beyond `warningSd` it is anomalous, within `closeSd` normal again.
 *
 * A series without any variance gives no scale to measure with: a value off it is left undecided, unless the rule names a smallest
 * standard deviation. The score is the tail of a normal distribution, which real series have fatter tails than: read it as a rank.
 */
export class ZScoreDetector implements Detector {
  readonly name = 'z-score';
  readonly version = 1;
  readonly closeAfterReadings: number;
  /** That of its own baseline, if it has one. */
  readonly state: LearnedState | undefined;
  readonly #config: ZScoreConfig;
  readonly #baseline: Baseline;
  /** By slot; undefined where sensors are not scored. */
  readonly #rules: (ZScoreRule | undefined)[] = [];

  /**
   * @param baseline with `learnFlagged`, statistics that someone else feeds with every reading after it was judged. Without, the
   *   detector's own, which it feeds with the readings that it did not flag.
   */
  constructor(config: ZScoreConfig, baseline: Baseline) {
    this.#config = config;
    this.#baseline = baseline;
    this.state = config.learnFlagged ? undefined : baseline.state;
    this.closeAfterReadings = config.closeAfterReadings;
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#baseline.reserve(slot + 1);
    const rule = findRule(this.#config.rules, sensor);
    this.#rules[slot] = rule?.enabled === true ? rule : undefined;
  }

  judge(slot: number, { value }: ReadingInHand, verdict: Verdict): void {
    const rule = this.#rules[slot];
    if (rule === undefined) {
      verdict.judgement = 'off';
      return;
    }
    if (this.#baseline.count(slot) < this.#config.warmUpReadings) {
      verdict.judgement = 'warming-up';
      return;
    }
    const deviation = this.#baseline.deviation(slot, value);
    const sd = this.#sd(slot, rule);
    if (sd === 0) {
      verdict.judgement = deviation === 0 ? 'normal' : 'undecided';
      return;
    }
    const z = Math.abs(deviation) / sd;
    if (z <= rule.warningSd) {
      verdict.judgement = z <= rule.closeSd ? 'normal' : 'undecided';
      return;
    }
    const mean = this.#baseline.mean(slot);
    verdict.judgement = 'anomalous';
    verdict.score = normalTailScore(z);
    verdict.severity = z > rule.criticalSd ? 'critical' : 'warning';
    verdict.anomalyKind = deviation > 0 ? 'above-band' : 'below-band';
    verdict.low = mean - rule.warningSd * sd;
    verdict.high = mean + rule.warningSd * sd;
  }

  #sd(slot: number, rule: ZScoreRule): number {
    return Math.max(Math.sqrt(this.#baseline.variance(slot)), rule.sdMin);
  }

  explain(sensor: RollupSensor, slot: number, value: number, verdict: Readonly<Verdict>): string {
    const sd = this.#sd(slot, this.#rules[slot]!);
    const deviation = this.#baseline.deviation(slot, value);
    const z = Number((Math.abs(deviation) / sd).toPrecision(3));
    const { band, shown } = bandInWords(sensor, value, verdict.low ?? NaN, verdict.high ?? NaN);
    const seen = `${nameOf(sensor)} is ${shown(value)}`;
    const distance = `${z} standard deviations ${deviation > 0 ? 'above' : 'below'}`;
    const mean = `its moving mean of ${shown(this.#baseline.mean(slot))}`;
    return `${seen}, ${distance} ${mean}; ${band} was expected.`;
  }

  learn(slot: number, reading: ReadingInHand, anomalous: boolean): void {
    if (!this.#config.learnFlagged && !anomalous) this.#baseline.add(slot, reading);
  }
}
