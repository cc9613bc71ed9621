import { waitFor } from '../../support/index.ts';
import { Device } from './device.ts';
import type { Ledger } from './ledger.ts';
import { Random } from './random.ts';

/** Readings of one sensor that wait for their acknowledgement: as many as the agent remembers of a sensor. */
const IN_FLIGHT_MAX = 64;
/** Time between two looks at what is due. */
const STEP_MS = 10;
/** Every so many-th sensor sends in bursts of up to {@link BURST_MAX}, as devices do that buffer. */
const BURSTY_EVERY = 5;
const BURST_MAX = 60;
/** A sensor that is so many readings ahead of the slowest waits, so that event time stays together. */
const AHEAD_MAX = 100;

export interface LoadOptions {
  readonly port: number;
  /** Of all sensors together. */
  readonly readingsPerSecond: number;
  readonly seed: number;
  /** Share of the devices that lose their connection in a second, without the agent being at fault. Default: 0. */
  readonly dropsPerSecond?: number;
}

/** All devices of a series, sending at a steady rate with QoS 1 as long as the agent acknowledges. */
export class Load {
  readonly ledger: Ledger;
  readonly #options: LoadOptions;
  readonly #random: Random;
  #readingsPerSecond: number;
  readonly #devices: readonly Device[];
  /** Readings that are due, by sensor, with fractions. */
  readonly #due: number[];
  /** How many must be due before they are sent, by sensor. */
  readonly #burst: number[];
  #timer: NodeJS.Timeout | undefined;
  #lastStep = 0;
  /** Readings of the sensor that has made the fewest. */
  #slowest = 0;

  constructor(ledger: Ledger, options: LoadOptions) {
    const { series } = ledger;
    this.ledger = ledger;
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#readingsPerSecond = options.readingsPerSecond;
    this.#devices = Array.from(
      { length: series.devices },
      (_, i) => new Device(`${series.options.prefix ?? 'device'}-${i}`, options.port, ledger),
    );
    this.#due = Array.from({ length: series.sensors }, () => 0);
    this.#burst = Array.from({ length: series.sensors }, () => 1);
  }

  start(): void {
    for (const device of this.#devices) device.open();
    this.#lastStep = performance.now();
    this.#timer = setInterval(() => this.#step(), STEP_MS);
  }

  /** Makes no more readings. What was made is sent on until it is acknowledged. */
  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Sends faster or more slowly from now on; of all sensors together. */
  pace(readingsPerSecond: number): void {
    this.#readingsPerSecond = readingsPerSecond;
  }

  /** Goes on after {@link pause}. */
  resume(): void {
    if (this.#timer !== undefined) return;
    this.#lastStep = performance.now();
    this.#timer = setInterval(() => this.#step(), STEP_MS);
  }

  /** Waits until everything that was made is acknowledged. */
  async acknowledged(timeoutMs = 120_000): Promise<void> {
    await waitFor('every reading is acknowledged', () => this.pending === 0, { timeoutMs, intervalMs: 10 });
  }

  /** Breaks connections until every device has sent something again, so that the agent knows how it does that. */
  async repeatOnce(): Promise<void> {
    await waitFor(
      'every device has repeated something',
      () => {
        const others = this.#devices.filter(({ hasRepeated }) => !hasRepeated);
        for (const device of others) if (device.pending > 0) device.drop();
        return others.length === 0;
      },
      { timeoutMs: 30_000, intervalMs: 5 },
    );
  }

  close(): void {
    this.pause();
    for (const device of this.#devices) device.close();
  }

  get pending(): number {
    return this.#devices.reduce((sum, device) => sum + device.pending, 0);
  }

  #step(): void {
    const now = performance.now();
    const seconds = Math.min(1, (now - this.#lastStep) / 1_000);
    this.#lastStep = now;
    this.#slowest = this.ledger.slowest;
    const each = (seconds * this.#readingsPerSecond) / this.ledger.series.sensors;
    for (let sensor = 0; sensor < this.ledger.series.sensors; sensor++) this.#send(sensor, each);
    const drops = (this.#options.dropsPerSecond ?? 0) * seconds;
    for (const device of this.#devices) if (drops > 0 && this.#random.chance(drops)) device.drop();
  }

  #send(sensor: number, more: number): void {
    const device = this.#devices[this.ledger.series.deviceOf(sensor)];
    // What a device can't send it does not measure either: its clock stands still, as it were, and then that of the others.
    if (device === undefined || !device.online || this.ledger.madeBy(sensor) > this.#slowest + AHEAD_MAX) return;
    const due = Math.min(IN_FLIGHT_MAX, (this.#due[sensor] ?? 0) + more);
    this.#due[sensor] = due;
    if (due < (this.#burst[sensor] ?? 1)) return;
    const room = IN_FLIGHT_MAX - device.inFlight(sensor);
    const count = Math.min(Math.floor(due), room);
    this.#due[sensor] = due - count;
    this.#burst[sensor] = sensor % BURSTY_EVERY === 0 ? Math.floor(this.#random.between(1, BURST_MAX)) : 1;
    for (let i = 0; i < count; i++) {
      const { index, reading } = this.ledger.next(sensor);
      device.publish(sensor, index, reading);
    }
  }
}
