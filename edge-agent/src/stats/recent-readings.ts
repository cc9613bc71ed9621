import { type EpochMs, epochMs, limits } from '@floorwatch/contracts';

import { capacityFor, growFloat64 } from './grow.ts';

const SIZE = limits.contextReadingsMax;

/** Each sensor's last readings, for the context of an anomaly. */
export class RecentReadings {
  #capacity = 0;
  #at = new Float64Array();
  #value = new Float64Array();
  /** Readings so far; the next one goes to position count modulo SIZE. */
  #count = new Float64Array();

  reserve(slots: number): void {
    if (slots <= this.#capacity) return;
    this.#capacity = capacityFor(slots, this.#capacity);
    this.#at = growFloat64(this.#at, this.#capacity * SIZE);
    this.#value = growFloat64(this.#value, this.#capacity * SIZE);
    this.#count = growFloat64(this.#count, this.#capacity);
  }

  add(slot: number, at: EpochMs, value: number): void {
    const count = this.#count[slot]!;
    const index = slot * SIZE + (count % SIZE);
    this.#at[index] = at;
    this.#value[index] = value;
    this.#count[slot] = count + 1;
  }

  /** The last readings, oldest first. */
  list(slot: number): { at: EpochMs; value: number }[] {
    const count = this.#count[slot]!;
    const length = Math.min(count, SIZE);
    return Array.from({ length }, (_, i) => {
      const index = slot * SIZE + ((count - length + i) % SIZE);
      return { at: epochMs(this.#at[index]!), value: this.#value[index]! };
    });
  }
}
