import type { EpochMs } from '@floorwatch/contracts';

import type { FloorSensor, SourceReading } from '../sensor.ts';
import { type Fault, faultyValue, placeFault, type PlannedFault } from './fault.ts';
import { inOtherUnit } from './other-unit.ts';

/** A fault that has begun. */
interface Active {
  readonly fault: Fault;
  /** Readings that it has touched; with the first it is announced. */
  count: number;
  /** What the sensor would have shown at the first of them. */
  first: number;
}

/**
 * Changes the readings of a floor by the faults of a schedule. Pure: what comes out depends on the readings and the schedule alone.
 * Every fault that touches a reading is announced once, before that reading comes out.
 */
export class Injector {
  readonly #schedule: Iterator<PlannedFault>;
  readonly #start: EpochMs;
  readonly #announce: (fault: Fault) => void;
  #next: Fault | undefined;
  /** The faults that have begun and not ended. */
  #active: Active[] = [];

  /**
   * @param schedule faults by their beginning; may be endless.
   * @param start the floor's time that the schedule counts from.
   * @param announce hears of every fault before its first changed reading.
   */
  constructor(schedule: Iterable<PlannedFault>, start: EpochMs, announce: (fault: Fault) => void) {
    this.#schedule = schedule[Symbol.iterator]();
    this.#start = start;
    this.#announce = announce;
    this.#advance();
  }

  /** The readings as a faulty floor sends them; `readings` are in the order of their times, and behind those given before. */
  inject(readings: readonly SourceReading<FloorSensor>[]): SourceReading<FloorSensor>[] {
    const sent: SourceReading<FloorSensor>[] = [];
    for (const reading of readings) {
      this.#open(reading.at);
      const shown = this.#active.length === 0 ? reading : this.#changed(reading);
      if (shown !== undefined) sent.push(shown);
    }
    return sent;
  }

  /** The reading as the faults of its sensor leave it; undefined: it is not sent. */
  #changed(reading: SourceReading<FloorSensor>): SourceReading<FloorSensor> | undefined {
    let value: number | undefined = reading.value;
    let isOtherUnit = false;
    for (const active of this.#active) {
      if (active.fault.sensor !== reading.sensor || value === undefined) continue;
      if (active.count === 0) {
        active.first = value;
        this.#announce(active.fault);
      }
      value = faultyValue(active.fault, value, reading.at, active.first, active.count);
      active.count += 1;
      isOtherUnit ||= active.fault.type === 'unit';
    }
    if (value === undefined) return undefined;
    // Last of all, because everything else is in the sensor's own unit.
    if (isOtherUnit) return { ...reading, ...inOtherUnit(reading.sensor.unit, value) };
    return value === reading.value ? reading : { ...reading, value };
  }

  #open(now: EpochMs): void {
    if (this.#active.some(({ fault }) => fault.to <= now)) {
      this.#active = this.#active.filter(({ fault }) => fault.to > now);
    }
    while (this.#next !== undefined && this.#next.from <= now) {
      if (this.#next.to > now) this.#active.push({ fault: this.#next, count: 0, first: Number.NaN });
      this.#advance();
    }
  }

  #advance(): void {
    const { done, value } = this.#schedule.next();
    this.#next = done === true || value === undefined ? undefined : placeFault(value, this.#start);
  }
}
