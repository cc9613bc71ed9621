import { type EpochMs, epochMs, type Reading, type RollupSensor } from '@floorwatch/contracts';

import { capacityFor, growFloat64 } from './grow.ts';

/** Which slot belongs to which sensor, and each sensor's newest reading. */
export class SensorTable {
  /** By device, then by metric: two look-ups cost less than joining the names. */
  readonly #slots = new Map<string, Map<string, number>>();
  readonly #sensors: RollupSensor[] = [];
  #capacity = 0;
  #newestAt = new Float64Array();
  #newestValue = new Float64Array();

  get size(): number {
    return this.#sensors.length;
  }

  /** The slot of the reading's sensor. A new sensor gets the next slot, which is then `size` − 1. */
  slotOf(reading: Reading): number {
    let metrics = this.#slots.get(reading.device);
    if (metrics === undefined) {
      metrics = new Map();
      this.#slots.set(reading.device, metrics);
    }
    const slot = metrics.get(reading.metric);
    if (slot === undefined) return this.#add(metrics, reading);
    if (reading.unit !== undefined && reading.unit !== this.#sensors[slot]!.unit) {
      this.#sensors[slot] = describe(reading);
    }
    return slot;
  }

  #add(metrics: Map<string, number>, reading: Reading): number {
    const slot = this.#sensors.length;
    metrics.set(reading.metric, slot);
    this.#sensors.push(describe(reading));
    if (slot >= this.#capacity) {
      this.#capacity = capacityFor(slot + 1, this.#capacity);
      this.#newestAt = growFloat64(this.#newestAt, this.#capacity, -Infinity);
      this.#newestValue = growFloat64(this.#newestValue, this.#capacity, NaN);
    }
    return slot;
  }

  /** The sensor with the unit that it named last. */
  sensor(slot: number): RollupSensor {
    return this.#sensors[slot]!;
  }

  /** Event time of the sensor's newest reading; before the first one, earlier than any time. */
  newestAt(slot: number): EpochMs {
    return epochMs(this.#newestAt[slot]!);
  }

  newestValue(slot: number): number {
    return this.#newestValue[slot]!;
  }

  setNewest(slot: number, at: EpochMs, value: number): void {
    this.#newestAt[slot] = at;
    this.#newestValue[slot] = value;
  }
}

const describe = ({ device, metric, unit }: Reading): RollupSensor =>
  unit === undefined ? { device, metric } : { device, metric, unit };
