/**
 * Late readings per window so far. Bounded: at the limit the window that has been silent longest is forgotten, and a later late
 * reading of it starts at zero again; how often that happened is counted.
 */
export class LateCounts {
  readonly #max: number;
  readonly #counts: Map<string, number>;
  forgotten = 0;

  constructor(max: number, counts: Iterable<readonly [string, number]> = []) {
    this.#max = max;
    this.#counts = new Map(counts);
  }

  get size(): number {
    return this.#counts.size;
  }

  entries(): IterableIterator<[string, number]> {
    return this.#counts.entries();
  }

  /** Adds readings to the window `key` and returns its sum. */
  add(key: string, readings: number): number {
    const sum = (this.#counts.get(key) ?? 0) + readings;
    this.#counts.delete(key);
    this.#counts.set(key, sum);
    if (this.#counts.size > this.#max) {
      const [oldest] = this.#counts.keys();
      if (oldest !== undefined) this.#counts.delete(oldest);
      this.forgotten++;
    }
    return sum;
  }
}
