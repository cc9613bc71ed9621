import { COUNT_MS } from '@floorwatch/contracts';

/** Sizes whose windows fill stretches of one length: the shortest that both windows and event hours fit into without a rest. */
export interface SizeGroup {
  readonly length: number;
  /** Smallest first. */
  readonly sizes: readonly number[];
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** Example: 1 min, 15 min and 1 h make stretches of an hour; 1 day makes stretches of a day, 7 min of seven hours. */
export function groupSizes(sizes: readonly number[]): SizeGroup[] {
  const groups = new Map<number, number[]>();
  for (const size of sizes.toSorted((a, b) => a - b)) {
    const length = (size / gcd(size, COUNT_MS)) * COUNT_MS;
    const group = groups.get(length);
    if (group === undefined) groups.set(length, [size]);
    else group.push(size);
  }
  return Array.from(groups, ([length, group]) => ({ length, sizes: group }));
}
