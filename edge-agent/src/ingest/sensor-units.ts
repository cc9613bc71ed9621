import type { Reading } from '@floorwatch/contracts';

import { findRule } from '../score/sensor-pattern.ts';
import { findSection, type StateSection } from '../state-section.ts';
import { apartMetric } from './apart-metric.ts';
import type { UnitsConfig } from './units-config.ts';

const SECTION = 'units';
const VERSION = 1;

/**
 * Which unit each sensor measures in: what a rule says, or else the first that it named. A reading in another unit is kept apart under a
 * name of its own: averaged with the others it would make both wrong. Sensors are numbered from 0.
 */
export class SensorUnits {
  readonly #rules: UnitsConfig['rules'];
  readonly #nameOf: (unit: string) => string;
  /** By sensor; undefined: not known yet. */
  readonly #own: (string | undefined)[] = [];
  /** Sensors whose rules were looked up. */
  readonly #known: boolean[] = [];

  /**
   * @param rules units by the names that `nameOf` gives, as in readings that are sorted.
   * @param nameOf see `UnitNames`. Aliases can be added, so what was kept is named again.
   */
  constructor(rules: UnitsConfig['rules'], nameOf: (unit: string) => string = (unit) => unit) {
    this.#rules = rules;
    this.#nameOf = nameOf;
  }

  /** The reading as it is to be kept: with its sensor's unit if it names none, or under another metric if it names another one. */
  sort(sensor: number, reading: Reading): Reading {
    if (this.#known[sensor] !== true) this.#lookUp(sensor, reading);
    const { unit, metric } = reading;
    const own = this.#own[sensor];
    if (unit === own) return reading;
    if (own === undefined) {
      this.#own[sensor] = unit;
      return reading;
    }
    if (unit === undefined) return { ...reading, unit: own };
    return { ...reading, metric: apartMetric(metric, unit), apartFrom: metric };
  }

  /** Takes note of a reading that was kept before, as {@link sort} gave it. @param sensor its sensor, or that from which it was kept apart. */
  learn(sensor: number, { unit, apartFrom, device, metric }: Reading): void {
    if (this.#known[sensor] !== true) this.#lookUp(sensor, { device, metric: apartFrom ?? metric });
    if (apartFrom === undefined && unit !== undefined) this.#own[sensor] ??= this.#nameOf(unit);
  }

  #lookUp(sensor: number, name: Pick<Reading, 'device' | 'metric'>): void {
    this.#known[sensor] = true;
    this.#own[sensor] = findRule(this.#rules, name)?.unit ?? this.#own[sensor];
  }

  /** The units of the first `sensors` sensors; null: not known. */
  snapshot(sensors: number): StateSection {
    const units = Array.from({ length: sensors }, (_, sensor) => this.#own[sensor] ?? null);
    return { name: SECTION, version: VERSION, values: { units }, arrays: {} };
  }

  /**
   * Takes up what {@link snapshot} gave, on a fresh instance and of sensors with the same numbers.
   *
   * @throws TypeError if the section is not what {@link snapshot} makes.
   */
  restore(sections: readonly StateSection[]): void {
    const section = findSection(sections, SECTION, VERSION);
    if (section === undefined) return;
    const { units } = (section.values ?? {}) as { readonly units?: unknown };
    if (!Array.isArray(units)) throw new TypeError(`section ${SECTION} has no list of units`);
    for (const [sensor, unit] of units.entries()) {
      if (typeof unit === 'string') this.#own[sensor] = this.#nameOf(unit);
    }
  }
}
