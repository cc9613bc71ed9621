import type { RollupSensor, SensorName } from '@floorwatch/contracts';

import { LearnedState } from '../../stats/learned-state.ts';
import type { ReadingInHand } from '../../stats/reading-in-hand.ts';
import type { SensorRows } from '../../stats/sensor-rows.ts';
import { type Detector, flagWithoutBand, type Verdict } from '../detector.ts';
import { findRule } from '../sensor-pattern.ts';
import type { SwitchConfig } from '../switch-config.ts';
import { nameOf, quantity } from '../wording.ts';
import { STUCK_DECADES_MIN } from './parameters.ts';
import { StuckDetector } from './stuck-detector.ts';

/** The stuck detector as one of the engine's detectors. Its episode lasts as long as the value repeats. */
export class StuckJudge implements Detector {
  readonly name = 'stuck';
  readonly version = 2;
  /** Another value than the stuck one is proof enough. */
  readonly closeAfterReadings = 1;
  readonly #detector: StuckDetector;
  readonly #config: SwitchConfig;
  readonly #off: boolean[] = [];
  readonly state: LearnedState;

  constructor(config: SwitchConfig, rows?: SensorRows) {
    this.#config = config;
    this.#detector = new StuckDetector(rows);
    this.state = new LearnedState(
      { version: 1, basis: {} },
      { rows: this.#detector.table },
      (slot) => this.#off[slot] !== true,
    );
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#off[slot] = findRule(this.#config.rules, sensor)?.enabled === false;
    this.#detector.forget(slot);
  }

  judge(slot: number, { values }: ReadingInHand, verdict: Verdict): void {
    if (this.#off[slot] === true) {
      verdict.judgement = 'off';
      return;
    }
    const decades = this.#detector.accept(slot, values, 0);
    if (decades === 0) {
      verdict.judgement = this.#detector.run(slot) === 0 ? 'normal' : 'undecided';
      return;
    }
    flagWithoutBand(verdict, 'stuck', 'critical', Math.max(decades, STUCK_DECADES_MIN));
  }

  explain(sensor: RollupSensor, slot: number, value: number): string {
    const seen = this.#detector.run(slot) + 1;
    const usual = this.#detector.longestExpected(slot) + 1;
    const shown = quantity(sensor, value, Math.abs(value) / 1000);
    return `${nameOf(sensor)} has been ${shown} for ${seen} readings in a row; up to ${usual} equal ones were expected.`;
  }
}
