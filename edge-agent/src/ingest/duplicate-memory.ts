import type { CapturedSection, PastNumbers, StateSection } from '../state-section.ts';
import { capacityFor, growFloat64, growUint32 } from '../stats/grow.ts';
import type { ReadingKey } from './reading-key.ts';

/** Safe keys of one sensor at most, if there are few: more would make it slow to look for a late reading's. */
const KEYS_OF_FEW_MAX = 4_096;
/** Keys for which a sensor's first ring has room. */
const RING_KEYS_MIN = 8;
const SECTION = 'duplicates';
const EMPTY = new Uint32Array();

/**
 * The keys of the last readings of every sensor, by which repeats are recognised. Sensors are numbered from 0.
 *
 * A sensor's ring holds, oldest first, its safe keys and behind them those whose readings are not safe yet. The latter are forgotten if their
 * readings are not kept, and do not push safe ones out before they are safe themselves: with room for 3, `[a b c | d]` becomes `[b c d |]`
 * when d is safe, and `[a b c |]` when it is refused.
 */
export class DuplicateMemory {
  readonly #keysMin: number;
  readonly #keysShared: number;
  /** Safe keys that every sensor keeps. */
  #keysMax: number;
  #sensors = 0;
  /** Safe keys of sensors that keep so many in any case. */
  readonly #more = new Map<number, number>();
  /** Halves of keys, two elements each; allocated with the first key and grown as needed. */
  readonly #rings: Uint32Array[] = [];
  /** Index of a ring's oldest key. */
  #start = new Uint32Array();
  #safe = new Uint32Array();
  #pending = new Uint32Array();
  /** No event time among a sensor's keys is later. Nearly every reading is newer than all before it, and need not be compared. */
  #newest = new Float64Array();
  /** The rings that a snapshot is being written from, which must not change. */
  #held: Uint32Array[] | undefined;

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

  /** @param eventTime NaN if the key was made without one. */
  has(sensor: number, eventTime: number, { high, low }: ReadingKey): boolean {
    const ring = this.#rings[sensor];
    if (ring === undefined || eventTime > this.#newest[sensor]!) return false;
    const count = this.#safe[sensor]! + this.#pending[sensor]!;
    // From the newest to the oldest: repeats are repeats of late readings.
    let at = 2 * this.#start[sensor]! + 2 * count;
    if (at > ring.length) at -= ring.length;
    for (let i = 0; i < count; i++) {
      if (at === 0) at = ring.length;
      at -= 2;
      if (ring[at] === low && ring[at + 1] === high) return true;
    }
    return false;
  }

  /** Adds a key of a reading that is not safe yet. */
  add(sensor: number, eventTime: number, { high, low }: ReadingKey): void {
    this.#makeRoom(sensor);
    this.#keepRing(sensor);
    const ring = this.#rings[sensor]!;
    let at = 2 * (this.#start[sensor]! + this.#safe[sensor]! + this.#pending[sensor]!);
    if (at >= ring.length) at -= ring.length;
    ring[at] = low;
    ring[at + 1] = high;
    this.#pending[sensor]! += 1;
    if (eventTime > this.#newest[sensor]!) this.#newest[sensor] = eventTime;
  }

  /** The sensor's oldest key that is not safe yet has become safe, or is forgotten. */
  settle(sensor: number, kept: boolean): void {
    this.#pending[sensor]! -= 1;
    if (!kept) {
      this.#removeAt(sensor, this.#safe[sensor]!);
    } else if (this.#safe[sensor]! < this.#maxOf(sensor)) {
      this.#safe[sensor]! += 1;
    } else {
      const next = this.#start[sensor]! + 1;
      this.#start[sensor] = 2 * next === this.#rings[sensor]!.length ? 0 : next;
    }
  }

  /** Closes the gap of the key at `index`, of which the count of pending ones does not know any more. */
  #removeAt(sensor: number, index: number): void {
    this.#keepRing(sensor);
    const ring = this.#rings[sensor]!;
    const end = this.#safe[sensor]! + this.#pending[sensor]!;
    const placeOf = (i: number): number => (2 * (this.#start[sensor]! + i)) % ring.length;
    for (let i = index; i < end; i++) {
      const [to, from] = [placeOf(i), placeOf(i + 1)];
      ring[to] = ring[from]!;
      ring[to + 1] = ring[from + 1]!;
    }
  }

  #makeRoom(sensor: number): void {
    if (sensor >= this.#sensors) this.#addSensors(sensor + 1);
    const ring = this.#rings[sensor]!;
    const count = this.#safe[sensor]! + this.#pending[sensor]!;
    if (2 * count < ring.length) return;
    // Doubled up to what is always needed; beyond that there are only keys that are not safe yet.
    const max = this.#maxOf(sensor);
    const keys = count < max ? Math.min(2 * count, max) : count + RING_KEYS_MIN;
    const larger = new Uint32Array(2 * Math.max(keys, RING_KEYS_MIN));
    const first = 2 * this.#start[sensor]!;
    larger.set(ring.subarray(first));
    larger.set(ring.subarray(0, first), ring.length - first);
    this.#rings[sensor] = larger;
    this.#start[sensor] = 0;
  }

  #addSensors(count: number): void {
    this.#sensors = count;
    const share = Math.min(KEYS_OF_FEW_MAX, Math.floor(this.#keysShared / count));
    this.#keysMax = Math.max(this.#keysMin, share);
    if (count <= this.#start.length) return;
    const capacity = capacityFor(count, this.#start.length);
    while (this.#rings.length < capacity) this.#rings.push(EMPTY);
    this.#start = growUint32(this.#start, capacity);
    this.#safe = growUint32(this.#safe, capacity);
    this.#pending = growUint32(this.#pending, capacity);
    this.#newest = growFloat64(this.#newest, capacity, -Infinity);
  }

  /**
   * The rings as they are at this moment, not unrolled: `counts` says how many keys from `starts` are safe. A ring is copied when a key is about
   * to change it, until {@link release}.
   *
   * @param names device and metric of every sensor, one after the other, in the order of their numbers.
   */
  capture(names: readonly string[]): CapturedSection {
    const sensors = names.length / 2;
    const held = this.#rings.slice(0, sensors);
    while (held.length < sensors) held.push(EMPTY);
    this.#held = held;
    const starts = copyOf(this.#start, sensors);
    const counts = copyOf(this.#safe, sensors);
    const newest = growFloat64(this.#newest.subarray(0, sensors), sensors, -Infinity);
    const keeps = new Uint32Array(sensors);
    for (const [sensor, keysMax] of this.#more) if (sensor < sensors) keeps[sensor] = keysMax;
    const arrays = { sizes: pastSizes(held), starts, counts, keys: pastKeys(held), newest, keeps };
    return { name: SECTION, version: 1, values: { names }, arrays };
  }

  /** The sections of the last capture are not needed any more. */
  release(): void {
    this.#held = undefined;
  }

  /** The ring of the sensor is about to change. */
  #keepRing(sensor: number): void {
    const ring = this.#rings[sensor]!;
    if (this.#held !== undefined && this.#held[sensor] === ring) this.#held[sensor] = ring.slice();
  }

  /**
   * Takes up what a snapshot holds.
   *
   * @param sensorOf the number of a sensor that is to be known from now on.
   * @throws TypeError if the section is not what {@link capture} makes.
   */
  restore(section: StateSection, sensorOf: (device: string, metric: string) => number): void {
    const { names, sizes, starts, counts, keys, newest, keeps } = checked(section);
    let ring = 0;
    for (const [index, size] of sizes.entries()) {
      const sensor = sensorOf(names[2 * index]!, names[2 * index + 1]!);
      this.keep(sensor, keeps[index] ?? 0);
      for (let i = 0; i < counts[index]!; i++) {
        const at = ring + 2 * ((starts[index]! + i) % size);
        this.add(sensor, newest[index]!, { low: keys[at]!, high: keys[at + 1]! });
        this.settle(sensor, true);
      }
      ring += 2 * size;
    }
  }

  /** Whether a section is of this memory. */
  static owns({ name }: StateSection): boolean {
    return name === SECTION;
  }
}

interface Content {
  readonly names: readonly string[];
  readonly sizes: Uint32Array;
  readonly starts: Uint32Array;
  readonly counts: Uint32Array;
  readonly keys: Uint32Array;
  readonly newest: Float64Array;
  /** Safe keys that a sensor keeps, where it keeps more than usual; else 0. */
  readonly keeps: Uint32Array;
}

function checked({ name, version, values, arrays }: StateSection): Content {
  // The first release had no `keeps`.
  const { sizes, starts, counts, keys, newest, keeps = EMPTY } = arrays;
  const { names } = (values ?? {}) as { readonly names?: unknown };
  const wrong = (what: string): TypeError => new TypeError(`section ${name} of version ${version}: ${what}`);
  if (version !== 1) throw wrong('is not of version 1');
  if (!Array.isArray(names) || !names.every((text) => typeof text === 'string'))
    throw wrong('names is no list of text');
  if (!isNumbers(sizes) || !isNumbers(starts) || !isNumbers(counts) || !isNumbers(keys) || !isNumbers(keeps))
    throw wrong('an array is missing');
  if (!(newest instanceof Float64Array)) throw wrong('an array is missing');
  const sensors = names.length / 2;
  const perSensor = [sizes, starts, counts, newest];
  if (perSensor.some(({ length }) => length !== sensors)) throw wrong('arrays do not fit together');
  if (keys.length !== 2 * sizes.reduce((sum, size) => sum + size, 0)) throw wrong('keys do not fit sizes');
  if (counts.some((count, index) => count > sizes[index]!)) throw wrong('counts do not fit sizes');
  return { names, sizes, starts, counts, keys, newest, keeps };
}

const isNumbers = (array: StateSection['arrays'][string] | undefined): array is Uint32Array =>
  array instanceof Uint32Array;

/** How many keys every ring has room for. A ring that changes keeps its size. */
const pastSizes = (rings: readonly Uint32Array[]): PastNumbers => ({
  type: 'uint32',
  length: rings.length,
  copyTo: (into, begin) => {
    for (let i = 0; i < into.length; i++) into[i] = rings[begin + i]!.length / 2;
  },
});

/** The keys of all rings, one ring after the other. Asked for from the first to the last. */
function pastKeys(rings: readonly Uint32Array[]): PastNumbers {
  // Where the next numbers that are asked for begin: the ring, and how many numbers lie before it.
  let ring = 0;
  let before = 0;
  return {
    type: 'uint32',
    get length(): number {
      return rings.reduce((sum, { length }) => sum + length, 0);
    },
    copyTo: (into, begin) => {
      if (begin < before) [ring, before] = [0, 0];
      for (let i = 0; i < into.length;) {
        const keys = rings[ring]!;
        const from = begin + i - before;
        if (from >= keys.length) {
          before += keys.length;
          ring += 1;
          continue;
        }
        const part = keys.subarray(from, from + into.length - i);
        into.set(part, i);
        i += part.length;
      }
    },
  };
}

function copyOf(array: Uint32Array, length: number): Uint32Array {
  const copy = new Uint32Array(length);
  copy.set(array.subarray(0, length));
  return copy;
}
