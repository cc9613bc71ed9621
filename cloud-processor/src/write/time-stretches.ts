/**
 * Reads a list by time in stretches, each twice as long as the one before, until there is enough: a store that sorts what it finds then
 * sorts little where much is stored, and asks seldom where there is little.
 *
 * @param firstMs length of the first stretch.
 * @param enough how many items are wanted.
 * @param read the first `limit` items of a stretch [from, to), in order.
 */
export async function readStretches<T>(
  range: { readonly from: number; readonly to: number; readonly firstMs: number; readonly enough: number },
  read: (from: number, to: number, limit: number) => Promise<readonly T[]>,
): Promise<T[]> {
  const found: T[] = [];
  let { from } = range;
  for (let span = range.firstMs; from < range.to && found.length < range.enough; span *= 2) {
    const to = Math.min(range.to, from + span);
    found.push(...(await read(from, to, range.enough - found.length)));
    from = to;
  }
  return found;
}
