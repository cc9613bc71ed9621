/**
 * A whole number below 2^32 from others, in which every bit of them counts (the finaliser of MurmurHash3, applied after each). The same
 * arguments give the same number on every machine, so that a reading can be made again from its place in the series alone.
 */
function mix(...parts: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const part of parts) {
    hash = Math.imul(hash ^ part, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

/** Evenly spread in [0, 1), from whole numbers. */
export const fraction = (...parts: readonly number[]): number => mix(...parts) / 2 ** 32;

/** Random decisions that can be repeated: two of the same seed decide the same. */
export class Random {
  readonly #seed: number;
  #drawn = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Evenly spread in [from, to). */
  between(from: number, to: number): number {
    return from + (to - from) * fraction(this.#seed, ++this.#drawn);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.between(0, 1) < probability;
  }
}
