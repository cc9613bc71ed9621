/**
 * Writes items together, and when that is refused for what they say, halves them until each refused item stands alone.
 * Rewriting those that went through is harmless, because writes replace by key.
 *
 * @param send writes items; returns why they were refused, or undefined if they are written; throws if that is not known.
 * @returns the refused items with the reason of each. n items with one refused among them take about 2·log2(n) calls.
 */
export async function bisect<T>(
  items: readonly T[],
  send: (items: readonly T[]) => Promise<string | undefined>,
): Promise<{ readonly item: T; readonly reason: string }[]> {
  const [first] = items;
  if (first === undefined) return [];
  const reason = await send(items);
  if (reason === undefined) return [];
  if (items.length === 1) return [{ item: first, reason }];
  const middle = items.length >> 1;
  return [...(await bisect(items.slice(0, middle), send)), ...(await bisect(items.slice(middle), send))];
}
