import { type CapturedSection, findSection, type StateSection } from '../state-section.ts';
import { capacityFor, growFloat64 } from '../stats/grow.ts';
import { KeyRings, uint32sOf } from './key-rings.ts';
import { clientOf } from './message-identity.ts';
import type { ReadingKey } from './reading-key.ts';

/** Safe keys of one sensor at most, if there are few: more would make it slow to look for a late reading's. */
const KEYS_OF_FEW_MAX = 4_096;
const SECTION = 'duplicates';
const VERSION = 1;

/** Whose reading is compared, and with whose. */
export interface Claimant {
  /** The connection that it came by, which has sent no repeat of what came by itself; undefined: no connection is known. */
  readonly owner: number | undefined;
  /** Of this client alone it can be a repeat; undefined: of anyone. */
  readonly repeatsOf: number | undefined;
}

/** A message of which nobody knows by which connection its device sent it. */
export const ANYONE: Claimant = { owner: undefined, repeatsOf: undefined };
/** Whose a key is that came by no known connection. */
const NOBODY = 0;

/** The keys of the last readings of every sensor, by which repeats over connections are recognised. Sensors are numbered from 0. */
export class DuplicateMemory {
  readonly #keysMin: number;
  readonly #keysShared: number;
  /** Safe keys that every sensor keeps. */
  #keysMax: number;
  #sensors = 0;
  /** Safe keys of sensors that keep so many in any case. */
  readonly #more = new Map<number, number>();
  readonly #rings = new KeyRings((sensor) => this.#maxOf(sensor));
  /** No event time among a sensor's keys is later. Nearly every reading is newer than all before it, and need not be compared. */
  #newest = new Float64Array();

  /**
   * @param keysMin safe keys of every sensor.
   * @param keysShared safe keys that the sensors share evenly, if that is more for each. The first sensors may keep some more: they do not shrink.
   */
  constructor(keysMin: number, keysShared = 0) {
    this.#keysMin = keysMin;
    this.#keysShared = keysShared;
    this.#keysMax = keysMin;
  }

  /** From now on the sensor keeps at least so many safe keys. */
  keep(sensor: number, keys: number): void {
    if (keys > this.#keysMin && keys > (this.#more.get(sensor) ?? 0)) this.#more.set(sensor, keys);
  }

  #maxOf(sensor: number): number {
    return this.#more.size === 0 ? this.#keysMax : Math.max(this.#keysMax, this.#more.get(sensor) ?? 0);
  }

  /**
   * Whether the reading is a repeat. If it is, the key is the claimant's from now on: its connection repeats each one once.
   *
   * @param eventTime NaN if the key was made without one.
   */
  claim(sensor: number, eventTime: number, { high, low }: ReadingKey, { owner, repeatsOf }: Claimant): boolean {
    if (sensor >= this.#sensors || eventTime > this.#newest[sensor]!) return false;
    const rings = this.#rings;
    const ring = rings.ringOf(sensor);
    // From the newest to the oldest: repeats are repeats of late readings.
    const last = rings.count(sensor) - 1;
    let at = last < 0 ? 0 : rings.placeOf(sensor, last);
    for (let index = last; index >= 0; index--, at = rings.placeBefore(sensor, at)) {
      if (ring[at] !== low || ring[at + 1] !== high) continue;
      const other = ring[at + 2]!;
      if (other === owner || (repeatsOf !== undefined && clientOf(other) !== repeatsOf)) continue;
      if (owner !== undefined) rings.set(sensor, index, low, high, owner);
      return true;
    }
    return false;
  }

  /** Adds a key of a reading that is not safe yet. */
  add(sensor: number, eventTime: number, { high, low }: ReadingKey, owner: number = NOBODY): void {
    if (sensor >= this.#sensors) this.#addSensors(sensor + 1);
    this.#rings.add(sensor, low, high, owner);
    if (eventTime > this.#newest[sensor]!) this.#newest[sensor] = eventTime;
  }

  /** The sensor's oldest key that is not safe yet has become safe, or is forgotten. */
  settle(sensor: number, kept: boolean): void {
    this.#rings.settle(sensor, kept);
  }

  #addSensors(count: number): void {
    this.#sensors = count;
    const share = Math.min(KEYS_OF_FEW_MAX, Math.floor(this.#keysShared / count));
    this.#keysMax = Math.max(this.#keysMin, share);
    if (count > this.#newest.length)
      this.#newest = growFloat64(this.#newest, capacityFor(count, this.#newest.length), -Infinity);
  }

  /**
   * The safe keys as they are at this moment, until {@link release}.
   *
   * @param names device and metric of every sensor, one after the other, in the order of their numbers.
   */
  capture(names: readonly string[]): CapturedSection {
    const sensors = names.length / 2;
    const newest = growFloat64(this.#newest.subarray(0, sensors), sensors, -Infinity);
    const keeps = new Uint32Array(sensors);
    for (const [sensor, keysMax] of this.#more) if (sensor < sensors) keeps[sensor] = keysMax;
    const arrays = { ...this.#rings.capture(sensors), newest, keeps };
    return { name: SECTION, version: VERSION, values: { names }, arrays };
  }

  /** The section of the last capture is not needed any more. */
  release(): void {
    this.#rings.release();
  }

  /**
   * Takes up what a snapshot holds; sections of others are passed over.
   *
   * @param sensorOf the number of a sensor that is to be known from now on.
   * @throws TypeError if the section is not what {@link capture} makes.
   */
  restore(sections: readonly StateSection[], sensorOf: (device: string, metric: string) => number): void {
    const section = findSection(sections, SECTION, VERSION);
    if (section === undefined) return;
    const { names } = (section.values ?? {}) as { readonly names?: unknown };
    if (!Array.isArray(names) || !names.every((text) => typeof text === 'string'))
      throw new TypeError(`section ${SECTION}: names is no list of text`);
    const sensors = names.length / 2;
    const { newest } = section.arrays;
    const keeps = uint32sOf(section, 'keeps', sensors);
    if (!(newest instanceof Float64Array) || newest.length !== sensors)
      throw new TypeError(`section ${SECTION}: array newest is missing, or not as long as the others`);
    this.#rings.restore(section, sensors, (index) => {
      const sensor = sensorOf(names[2 * index]!, names[2 * index + 1]!);
      if (sensor >= this.#sensors) this.#addSensors(sensor + 1);
      this.keep(sensor, keeps[index]!);
      this.#newest[sensor] = newest[index]!;
      return sensor;
    });
  }
}
