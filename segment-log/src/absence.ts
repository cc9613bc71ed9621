import type { StateContent } from './log-state.ts';
import { type PositionRange, without } from './position-ranges.ts';

/** Why positions are not there. */
export interface Absence extends PositionRange {
  /** `skipped`: no item ever had the position. */
  readonly why: 'trimmed' | 'dropped' | 'skipped' | 'damaged';
}

/** Why the positions of `range` are not there: in order, without gaps. Only those that a reader did not find. */
export function absencesIn(
  { from, to }: PositionRange,
  { trimmed, dropped, skipped }: Pick<StateContent, 'trimmed' | 'dropped' | 'skipped'>,
): Absence[] {
  const result: Absence[] = [];
  if (from < trimmed) result.push({ from, to: Math.min(to, trimmed - 1), why: 'trimmed' });
  const rest = { from: Math.max(from, trimmed), to };
  if (rest.from > rest.to) return result;
  const given = without(rest, skipped);
  const because = (why: Absence['why'], ranges: readonly PositionRange[]): void => {
    for (const range of ranges) result.push({ from: range.from, to: range.to, why });
  };
  because('skipped', without(rest, given));
  for (const range of given) {
    const damaged = without(range, dropped);
    because('damaged', damaged);
    because('dropped', without(range, damaged));
  }
  return result.sort((a, b) => a.from - b.from);
}
