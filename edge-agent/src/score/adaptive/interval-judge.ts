import type { EpochMs, RollupSensor, SensorName } from '@floorwatch/contracts';

import type { Detector, Verdict } from '../detector.ts';
import { findRule } from '../sensor-pattern.ts';
import type { SwitchConfig } from '../switch-config.ts';
import { nameOf } from '../wording.ts';
import { IntervalDetector } from './interval-detector.ts';
import { INTERVAL_DECADES_MIN, THRESHOLDS } from './parameters.ts';

/**
 * The interval detector as one of the engine's detectors: the reading that ends a silence opens an episode. For a silence that lasts,
 * the owner of the clock asks {@link IntervalJudge.silentAfter}.
 */
export class IntervalJudge implements Detector {
  readonly name = 'silent';
  readonly version = 1;
  /** The reading after the one that ended the silence proves that the sensor is back. */
  readonly closeAfterReadings = 1;
  readonly #detector = new IntervalDetector(1);
  readonly #time = new Float64Array(1);
  readonly #config: SwitchConfig;
  readonly #off: boolean[] = [];
  #newest = 0;
  /** The interval judged last and the usual one at that time, in milliseconds. */
  #interval = 0;
  #usual = 0;

  constructor(config: SwitchConfig) {
    this.#config = config;
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#off[slot] = findRule(this.#config.rules, sensor)?.enabled === false;
    this.#detector.forget(slot);
  }

  judge(slot: number, at: EpochMs, _value: number, verdict: Verdict): void {
    if (this.#off[slot] === true) {
      verdict.judgement = 'off';
      return;
    }
    this.#time[0] = at;
    this.#newest = this.#detector.newestAt(slot);
    this.#usual = this.#detector.usualInterval(slot);
    const decades = this.#detector.accept(slot, this.#time, 0);
    if (decades === 0) {
      verdict.judgement = this.#usual === 0 ? 'warming-up' : 'normal';
      return;
    }
    this.#interval = at - this.#newest;
    verdict.judgement = 'anomalous';
    verdict.score = Math.max(decades, INTERVAL_DECADES_MIN);
    verdict.severity = decades >= THRESHOLDS.critical ? 'critical' : 'warning';
    verdict.anomalyKind = 'gap';
    verdict.low = null;
    verdict.high = null;
  }

  explain(sensor: RollupSensor): string {
    return `${nameOf(sensor)} was silent for ${duration(this.#interval)}; it usually reports every ${duration(this.#usual)}.`;
  }

  /** The instant after which the sensor is silent if no reading comes, epoch ms; Infinity while its cadence is unknown. */
  silentAfter(slot: number): number {
    return this.#detector.silentAfter(slot);
  }

  /** The detector has learned the reading while it judged it. */
  learn(): void {}
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** A length of time to two digits in its largest fitting unit, such as `2.5 h`. */
function duration(ms: number): string {
  const [unit, size] = UNITS.find(([, unitMs]) => ms >= unitMs) ?? (['ms', 1] as const);
  return `${Number((ms / size).toPrecision(2))} ${unit}`;
}
