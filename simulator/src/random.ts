/**
 * Seeded random numbers. Two with the same path give the same numbers for ever, on every machine; each sensor has one of its own,
 * so that adding a machine changes nothing in the others.
 *
 * sfc32 by Chris Doty-Humphrey (PractRand): 128 bits of state, passes its author's tests, four additions per number.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  #spare: number | undefined;

  /** @param path what the numbers are for, such as `[seed, 'press-01', 'noise']`. */
  constructor(...path: readonly (string | number)[]) {
    const text = path.join('/');
    this.#a = hashText(text, 0x9e3779b9);
    this.#b = hashText(text, 0x243f6a88);
    this.#c = hashText(text, 0xb7e15162);
    for (let i = 0; i < 12; i++) this.#next();
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return this.#next() / 0x1_0000_0000;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** Normally distributed, mean 0, standard deviation 1 (polar method of Marsaglia and Bray, 1964). */
  gaussian(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    for (;;) {
      const u = 2 * this.uniform() - 1;
      const v = 2 * this.uniform() - 1;
      const square = u * u + v * v;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      this.#spare = v * factor;
      return u * factor;
    }
  }
}

/** FNV-1a of `text`, stirred by the finaliser of MurmurHash3 so that similar texts give unrelated numbers. */
export function hashText(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return stir(hash);
}

/** A number in [0, 1) that depends on `seed` and `index` alone: random access where {@link Random} would have to count. */
export const hashUnit = (seed: number, index: number): number =>
  stir(stir(seed ^ (index | 0)) ^ Math.floor(index / 0x1_0000_0000)) / 0x1_0000_0000;

function stir(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
