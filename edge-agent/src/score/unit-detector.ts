import type { RollupSensor, SensorName } from '@floorwatch/contracts';

import type { ReadingInHand } from '../stats/reading-in-hand.ts';
import { type Detector, flagWithoutBand, type Judgement, type Verdict } from './detector.ts';
import { findRule } from './sensor-pattern.ts';
import type { SwitchConfig } from './switch-config.ts';
import { nameOf } from './wording.ts';

/** By decree: it is certain, and the sensor is not watched meanwhile. */
const SCORE = 10;

/** A reading in another unit than its sensor's, which is kept apart under a metric of its own. */
export interface ApartReading {
  readonly metric: string;
  readonly unit?: string;
}

/**
 * A sensor whose readings come in another unit than before: a device that was exchanged or set up anew. What is judged is the sensor; the
 * readings in the other unit are kept apart, and are a sensor of their own.
 */
export class UnitDetector implements Detector {
  readonly name = 'unit';
  readonly version = 1;
  /** Single readings in the sensor's own unit may come from another device that publishes under the same name. */
  readonly closeAfterReadings = 3;
  /** There is nothing to learn. */
  readonly judgementAtFirst: Judgement = 'normal';
  readonly #config: SwitchConfig;
  readonly #off: boolean[] = [];
  /** The last reading that was kept apart, by its sensor; only of sensors that had any. */
  readonly #apart = new Map<number, ApartReading>();

  constructor(config: SwitchConfig) {
    this.#config = config;
  }

  addSensor(slot: number, sensor: SensorName): void {
    this.#off[slot] = findRule(this.#config.rules, sensor)?.enabled === false;
  }

  /** Judges a reading in the sensor's own unit. */
  judge(slot: number, _reading: ReadingInHand, verdict: Verdict): void {
    verdict.judgement = this.#off[slot] === true ? 'off' : 'normal';
  }

  /** Judges a reading that is kept apart. @param slot of the sensor from which it is. */
  judgeApart(slot: number, reading: ApartReading, verdict: Verdict): void {
    if (this.#off[slot] === true) {
      verdict.judgement = 'off';
      return;
    }
    this.#apart.set(slot, reading);
    flagWithoutBand(verdict, 'unit', 'warning', SCORE);
  }

  explain(sensor: RollupSensor, slot: number): string {
    const { metric, unit } = this.#apart.get(slot) ?? { metric: '', unit: undefined };
    const own = sensor.unit ?? 'its own unit';
    return `${nameOf(sensor)} is now sent in ${unit ?? 'another unit'} instead of ${own}; such readings are kept apart as ${metric}.`;
  }
}
