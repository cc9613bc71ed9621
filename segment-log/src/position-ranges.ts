/** Positions from `from` to `to`, both included. */
export interface PositionRange {
  readonly from: number;
  readonly to: number;
}

/** What of `range` lies in none of `others`, which are in order and do not overlap. */
export function without(range: PositionRange, others: readonly PositionRange[]): PositionRange[] {
  const rest: PositionRange[] = [];
  let from = range.from;
  for (const other of others) {
    if (other.to < from) continue;
    if (other.from > range.to) break;
    if (other.from > from) rest.push({ from, to: other.from - 1 });
    from = other.to + 1;
  }
  if (from <= range.to) rest.push({ from, to: range.to });
  return rest;
}

/** `ranges` with one more that overlaps none of them, in order, those that touch joined. */
export function withRange(ranges: readonly PositionRange[], added: PositionRange): PositionRange[] {
  const joined: PositionRange[] = [];
  for (const range of [...ranges, added].sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1);
    if (last !== undefined && last.to + 1 >= range.from)
      joined[joined.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
    else joined.push(range);
  }
  return joined;
}
