/** A stretch of event time, both ends included, whose readings may be lost. */
export type LostRange = readonly [from: number, to: number];

/**
 * Where a gateway is known to have lost readings: windows that overlap one of these are incomplete. Kept as disjoint ranges in
 * order, at most `max`; beyond that the closest two are joined, which marks more windows and never fewer.
 */
export class LostRanges {
  readonly #max: number;
  #ranges: LostRange[];

  constructor(max: number, ranges: readonly LostRange[] = []) {
    this.#max = max;
    this.#ranges = [...ranges];
  }

  all(): readonly LostRange[] {
    return this.#ranges;
  }

  add(from: number, to: number): void {
    const apart = this.#ranges.filter(([f, t]) => t < from || f > to);
    const joined = this.#ranges.filter(([f, t]) => t >= from && f <= to);
    const range: LostRange = [Math.min(from, ...joined.map(([f]) => f)), Math.max(to, ...joined.map(([, t]) => t))];
    this.#ranges = [...apart, range].sort(([a], [b]) => a - b);
    if (this.#ranges.length > this.#max) this.#joinClosest();
  }

  /** Takes back a range that stands for itself; nothing happens if others have joined it since. */
  remove([from, to]: LostRange): void {
    this.#ranges = this.#ranges.filter((range) => range[0] !== from || range[1] !== to);
  }

  /** Whether [start, end) overlaps a range. */
  touch(start: number, end: number): boolean {
    // Mostly the last ones matter, and the first that ends before `start` ends the search.
    for (let index = this.#ranges.length - 1; index >= 0; index--) {
      const [from, to] = this.#ranges[index]!;
      if (to < start) return false;
      if (from < end) return true;
    }
    return false;
  }

  /** Forgets ranges that end before `horizon`. */
  forget(horizon: number): void {
    if (this.#ranges.length > 0) this.#ranges = this.#ranges.filter(([, to]) => to >= horizon);
  }

  #joinClosest(): void {
    let closest = 1;
    const distance = (index: number): number => this.#ranges[index]![0] - this.#ranges[index - 1]![1];
    for (let index = 2; index < this.#ranges.length; index++) if (distance(index) < distance(closest)) closest = index;
    const [before, after] = [this.#ranges[closest - 1]!, this.#ranges[closest]!];
    this.#ranges.splice(closest - 1, 2, [before[0], after[1]]);
  }
}
