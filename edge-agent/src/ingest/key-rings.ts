import type { CapturedSection, PastNumbers, StateSection } from '../state-section.ts';
import { capacityFor, growUint32 } from '../stats/grow.ts';

/** Numbers of an entry: the two halves of its key, and whose it is. */
const ENTRY_WORDS = 3;
/** Entries for which a slot's first ring has room. */
const RING_ENTRIES_MIN = 8;
const EMPTY = new Uint32Array();

/** What a snapshot holds of the rings of the slots from 0 on. */
type RingArrays = CapturedSection['arrays'];

/**
 * Numbered slots, each with the last entries that were added to it: a key in two halves, and a number that says whose it is.
 *
 * A ring holds, oldest first, its safe entries and behind them those whose readings are not safe yet. The latter are forgotten if their
 * readings are not kept, and do not push safe ones out before they are safe themselves: with room for 3, `[a b c | d]` becomes `[b c d |]`
 * when d is safe, and `[a b c |]` when it is refused.
 */
export class KeyRings {
  readonly #maxOf: (slot: number) => number;
  /** Allocated with the first entry and grown as needed. */
  readonly #rings: Uint32Array[] = [];
  /** Index of a ring's oldest entry. */
  #start = new Uint32Array();
  #safe = new Uint32Array();
  #pending = new Uint32Array();
  /** The rings that a snapshot is being written from, which must not change. */
  #held: Uint32Array[] | undefined;

  /** @param maxOf safe entries that a slot keeps. If it comes to say fewer, a slot keeps what it has. */
  constructor(maxOf: (slot: number) => number) {
    this.#maxOf = maxOf;
  }

  /** Entries of a slot, safe or not. */
  count(slot: number): number {
    return slot < this.#rings.length ? this.#safe[slot]! + this.#pending[slot]! : 0;
  }

  /** The numbers of a slot's entries, at {@link placeOf}: low and high half of the key, and whose it is. */
  ringOf(slot: number): Uint32Array {
    return this.#rings[slot] ?? EMPTY;
  }

  /** Where in its ring an entry lies; the oldest one has index 0. */
  placeOf(slot: number, index: number): number {
    const at = ENTRY_WORDS * (this.#start[slot]! + index);
    const { length } = this.#rings[slot]!;
    return at >= length ? at - length : at;
  }

  /** Where the entry lies that was added before the one at `at`. */
  placeBefore(slot: number, at: number): number {
    return (at === 0 ? this.#rings[slot]!.length : at) - ENTRY_WORDS;
  }

  /** Adds an entry that is not safe yet. */
  add(slot: number, low: number, high: number, owner: number): void {
    this.#makeRoom(slot);
    this.#pending[slot]! += 1;
    this.set(slot, this.count(slot) - 1, low, high, owner);
  }

  /** Changes an entry. */
  set(slot: number, index: number, low: number, high: number, owner: number): void {
    this.#keepRing(slot);
    const ring = this.#rings[slot]!;
    const at = this.placeOf(slot, index);
    ring[at] = low;
    ring[at + 1] = high;
    ring[at + 2] = owner;
  }

  /** The slot's oldest entry that is not safe yet has become safe, or is forgotten. @param mark bits that its owner gets. */
  settle(slot: number, kept: boolean, mark = 0): void {
    if (mark !== 0) {
      this.#keepRing(slot);
      this.#rings[slot]![this.placeOf(slot, this.#safe[slot]!) + 2]! |= mark;
    }
    this.#pending[slot]! -= 1;
    if (!kept) {
      this.#removeAt(slot, this.#safe[slot]!);
    } else if (this.#safe[slot]! < this.#maxOf(slot)) {
      this.#safe[slot]! += 1;
    } else {
      const next = this.#start[slot]! + 1;
      this.#start[slot] = ENTRY_WORDS * next === this.#rings[slot]!.length ? 0 : next;
    }
  }

  /** Forgets everything of a slot. */
  clear(slot: number): void {
    if (slot >= this.#rings.length) return;
    this.#rings[slot] = EMPTY;
    this.#start[slot] = 0;
    this.#safe[slot] = 0;
    this.#pending[slot] = 0;
  }

  /** Closes the gap of the entry at `index`, of which the count of pending ones does not know any more. */
  #removeAt(slot: number, index: number): void {
    this.#keepRing(slot);
    const ring = this.#rings[slot]!;
    const end = this.count(slot);
    for (let i = index; i < end; i++) {
      const from = this.placeOf(slot, i + 1);
      ring.copyWithin(this.placeOf(slot, i), from, from + ENTRY_WORDS);
    }
  }

  #makeRoom(slot: number): void {
    if (slot >= this.#rings.length) this.#addSlots(slot + 1);
    const ring = this.#rings[slot]!;
    const count = this.count(slot);
    if (ENTRY_WORDS * count < ring.length) return;
    // Doubled up to what is always needed; beyond that there are only entries that are not safe yet.
    const max = this.#maxOf(slot);
    const entries = count < max ? Math.min(2 * count, max) : count + RING_ENTRIES_MIN;
    const larger = new Uint32Array(ENTRY_WORDS * Math.max(entries, RING_ENTRIES_MIN));
    const first = ENTRY_WORDS * this.#start[slot]!;
    larger.set(ring.subarray(first));
    larger.set(ring.subarray(0, first), ring.length - first);
    this.#rings[slot] = larger;
    this.#start[slot] = 0;
  }

  #addSlots(count: number): void {
    const capacity = capacityFor(count, this.#start.length);
    while (this.#rings.length < capacity) this.#rings.push(EMPTY);
    this.#start = growUint32(this.#start, capacity);
    this.#safe = growUint32(this.#safe, capacity);
    this.#pending = growUint32(this.#pending, capacity);
  }

  /**
   * The rings as they are at this moment, not unrolled: `counts` says how many entries from `starts` are safe. A ring is copied when it is about
   * to change, until {@link release}.
   */
  capture(slots: number): RingArrays {
    const held = this.#rings.slice(0, slots);
    while (held.length < slots) held.push(EMPTY);
    this.#held = held;
    const starts = copyOf(this.#start, slots);
    const counts = copyOf(this.#safe, slots);
    return { sizes: pastSizes(held), starts, counts, keys: pastWords(held) };
  }

  /** The arrays of the last capture are not needed any more. */
  release(): void {
    this.#held = undefined;
  }

  /** The ring of the slot is about to change. */
  #keepRing(slot: number): void {
    const ring = this.#rings[slot]!;
    if (this.#held !== undefined && this.#held[slot] === ring) this.#held[slot] = ring.slice();
  }

  /**
   * Takes up what a snapshot holds of `slots` slots, as safe.
   *
   * @param slotOf where what was captured of a slot belongs now, if it is wanted; called once for each, in order.
   * @throws TypeError if the section does not hold what {@link capture} gives.
   */
  restore(section: StateSection, slots: number, slotOf: (index: number) => number | undefined): void {
    const { sizes, starts, counts, keys } = checked(section, slots);
    let ring = 0;
    for (let index = 0; index < slots; index++) {
      const slot = slotOf(index);
      const size = sizes[index]!;
      for (let i = 0; slot !== undefined && i < counts[index]!; i++) {
        const at = ring + ENTRY_WORDS * ((starts[index]! + i) % size);
        this.add(slot, keys[at]!, keys[at + 1]!, keys[at + 2]!);
        this.settle(slot, true);
      }
      ring += ENTRY_WORDS * size;
    }
  }
}

/** The array of that name, as long as there are slots. @throws TypeError if it is not. */
export function uint32sOf({ name, arrays }: StateSection, array: string, length?: number): Uint32Array {
  const numbers = arrays[array];
  if (numbers instanceof Uint32Array && (length === undefined || numbers.length === length)) return numbers;
  throw new TypeError(`section ${name}: array ${array} is missing, or not as long as the others`);
}

function checked(section: StateSection, slots: number): Record<'sizes' | 'starts' | 'counts' | 'keys', Uint32Array> {
  const sizes = uint32sOf(section, 'sizes', slots);
  const starts = uint32sOf(section, 'starts', slots);
  const counts = uint32sOf(section, 'counts', slots);
  const keys = uint32sOf(
    section,
    'keys',
    sizes.reduce((sum, size) => sum + ENTRY_WORDS * size, 0),
  );
  if (counts.some((count, index) => count > sizes[index]!))
    throw new TypeError(`section ${section.name}: counts do not fit sizes`);
  return { sizes, starts, counts, keys };
}

/** How many entries every ring has room for. A ring that changes keeps its size. */
const pastSizes = (rings: readonly Uint32Array[]): PastNumbers => ({
  type: 'uint32',
  length: rings.length,
  copyTo: (into, begin) => {
    for (let i = 0; i < into.length; i++) into[i] = rings[begin + i]!.length / ENTRY_WORDS;
  },
});

/** The entries of all rings, one ring after the other. Asked for from the first to the last. */
function pastWords(rings: readonly Uint32Array[]): PastNumbers {
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
        const words = rings[ring]!;
        const from = begin + i - before;
        if (from >= words.length) {
          before += words.length;
          ring += 1;
          continue;
        }
        const part = words.subarray(from, from + into.length - i);
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
