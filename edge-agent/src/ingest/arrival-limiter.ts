import { type EpochMs, seconds, type SensorName } from '@floorwatch/contracts';

/** A message of a sensor of which nothing was accepted, as the journal keeps it: a sign of life all the same. */
export interface ArrivalOnly {
  readonly sensor: SensorName;
  readonly receivedAt: EpochMs;
}

/** Nothing needs to know more exactly when a sensor was heard, and a device that repeats itself does not wear out the disk. */
const PAUSE_MS = seconds(1);

/** Sees to it that at most one arrival a second of each sensor goes into the journal. Sensors are numbered from 0. */
export class ArrivalLimiter {
  /** When each sensor was heard last, by the gateway's clock. */
  readonly #heardAt: number[] = [];

  /** A reading of the sensor is accepted: it tells by itself when it came. */
  note(sensor: number, receivedAt: number): void {
    this.#heardAt[sensor] = receivedAt;
  }

  /** Whether an arrival of the sensor is worth an item of its own; if so, it is noted. Also when the clock has gone back. */
  isDue(sensor: number, receivedAt: number): boolean {
    const since = receivedAt - (this.#heardAt[sensor] ?? -Infinity);
    if (since >= 0 && since < PAUSE_MS) return false;
    this.#heardAt[sensor] = receivedAt;
    return true;
  }
}
