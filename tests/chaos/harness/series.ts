import { type EpochMs, epochMs, type Reading } from '@floorwatch/contracts';

import { fraction } from './random.ts';

/** What differs between the series that scenarios need. */
export interface SeriesOptions {
  readonly seed: number;
  readonly sensors: number;
  /** Event time of the first readings. */
  readonly from: EpochMs;
  /** Event time between two readings of a sensor, in milliseconds. */
  readonly stepMs: number;
  /** Every so many readings of a sensor a fault begins. Default: 80. */
  readonly faultEvery?: number;
  /** How its devices' names begin. Default: `machine`. */
  readonly prefix?: string;
  /** So many devices, the last ones, send every other reading {@link LATE_BY} readings later than its event time says. Default: 0. */
  readonly lateDevices?: number;
  /** See {@link SeriesForm}. Default: `full`. */
  readonly form?: SeriesForm;
}

/**
 * What tells the readings of a sensor apart.
 *
 * - `full`: a time of its own, and a sequence number from half of the devices.
 * - `whole-seconds`: {@link PER_SECOND} readings have one time and one value, and no number.
 * - `bare`: the value alone, which {@link PER_SECOND} readings have in common; the agent has the time.
 */
export type SeriesForm = 'full' | 'whole-seconds' | 'bare';

/** Readings of a sensor that are equal, where some are. */
const PER_SECOND = 5;
const SECOND_MS = 1_000;

/** Sensors of one device, which share its connection. */
const SENSORS_PER_DEVICE = 5;
const FAULT_EVERY = 80;
/** Readings of a sensor before its first fault. */
const HEALTHY_READINGS = 40;
/** How far behind a late reading is. Even, so that every place in time is taken once. */
const LATE_BY = 200;
/** Readings that a fault lasts. */
const FAULT_READINGS = 15;
/** What a fault adds to a value: far beyond {@link HIGH}. */
const FAULT_OFFSET = 500;
/** The limit that faults break, and nothing else does. */
export const HIGH = 300;

/**
 * The readings of every sensor, each a pure function of the seed, the sensor and its place: what was sent can be made again when it is
 * judged, and no second copy has to be trusted.
 *
 * A value is a level of tens, noise around it and six decimals, so that one reading more, less or in another's place moves the sum of a
 * minute by more than 1e-6.
 */
export class Series {
  readonly options: SeriesOptions;

  constructor(options: SeriesOptions) {
    this.options = options;
  }

  get sensors(): number {
    return this.options.sensors;
  }

  get devices(): number {
    return Math.ceil(this.sensors / SENSORS_PER_DEVICE);
  }

  /** Which device a sensor belongs to. */
  deviceOf(sensor: number): number {
    return Math.floor(sensor / SENSORS_PER_DEVICE);
  }

  /** Reading number `index`, from 0, of a sensor, from 0. Event times rise with the index, but for those of late devices. */
  reading(sensor: number, index: number): Reading {
    const { from, form = 'full' } = this.options;
    if (form !== 'full') {
      const second = Math.floor(index / PER_SECOND);
      const eventTime = epochMs((Math.floor(from / SECOND_MS) + second) * SECOND_MS);
      return { ...this.#named(sensor), eventTime, value: this.#value(sensor, second), quality: 'good' };
    }
    const place = this.#isLate(sensor) && index % 2 === 1 ? index - LATE_BY : index;
    return {
      ...this.#named(sensor),
      eventTime: epochMs(from + place * this.options.stepMs + sensor),
      value: this.#value(sensor, index),
      quality: 'good',
      // Half of the devices count what they send.
      ...(this.deviceOf(sensor) % 2 === 0 ? {} : { seq: index }),
    };
  }

  /** What its device sends. */
  payload({ value, eventTime, seq }: Reading): string {
    if (this.options.form === 'bare') return String(value);
    return JSON.stringify({ value, ts: eventTime, ...(seq === undefined ? {} : { seq }) });
  }

  #named(sensor: number): Pick<Reading, 'device' | 'metric'> {
    const device = `${this.options.prefix ?? 'machine'}-${this.deviceOf(sensor)}`;
    return { device, metric: `metric-${sensor % SENSORS_PER_DEVICE}` };
  }

  #isLate(sensor: number): boolean {
    return this.deviceOf(sensor) >= this.devices - (this.options.lateDevices ?? 0);
  }

  #value(sensor: number, index: number): number {
    const { seed, faultEvery = FAULT_EVERY } = this.options;
    let noise = 0;
    for (let part = 0; part < 4; part++) noise += fraction(seed, sensor, index, part) - 0.5;
    const sinceFault = (index + Math.floor(fraction(seed, sensor) * faultEvery)) % faultEvery;
    const fault = index >= HEALTHY_READINGS && sinceFault < FAULT_READINGS ? FAULT_OFFSET : 0;
    return Number((20 + sensor + noise + fault).toFixed(6));
  }
}
