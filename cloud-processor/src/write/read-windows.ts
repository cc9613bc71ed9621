import { type DurationMs, epochMs, type SensorRef, type WindowRangeQuery, type WindowRow } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';
import type { Store } from './store.ts';

/**
 * The stored windows of one sensor and size that begin at `starts`, by start.
 *
 * @param starts oldest first.
 * @throws StoreError
 */
export async function readWindows(
  store: Pick<Store, 'windows'>,
  sensor: SensorRef,
  size: DurationMs,
  starts: readonly number[],
): Promise<Map<number, WindowRow>> {
  const found = new Map<number, WindowRow>();
  const wanted = new Set(starts);
  for (const [from, to] of stretches(starts, size)) {
    for (let after: string | null | undefined; after !== null;) {
      const page = await store.windows({
        sensor,
        size,
        from: epochMs(from),
        to: epochMs(to + 1),
        limit: processorLimits.readWindowsMax,
        ...(after === undefined ? {} : { after }),
      });
      for (const row of page.items) if (wanted.has(row.start)) found.set(row.start, row);
      after = page.next;
    }
  }
  return found;
}

/** All windows that a query by time asks for, page by page. @throws StoreError */
export async function* windowPages(
  store: Pick<Store, 'windowsByTime'>,
  query: Omit<WindowRangeQuery, 'limit' | 'after'>,
): AsyncGenerator<readonly WindowRow[]> {
  for (let after: string | null | undefined; after !== null;) {
    const page = await store.windowsByTime({
      ...query,
      limit: processorLimits.readWindowsMax,
      ...(after === undefined ? {} : { after }),
    });
    yield page.items;
    after = page.next;
  }
}

/** Stretches of `starts`, each from its first to its last, that one question answers without many windows that nobody asked for. */
export function* stretches(starts: readonly number[], size: number): Generator<readonly [first: number, last: number]> {
  let [first] = starts;
  for (const [i, start] of starts.entries()) {
    const next = starts[i + 1];
    if (first === undefined || (next !== undefined && (next - start) / size <= processorLimits.readGapMax)) continue;
    yield [first, start];
    first = next;
  }
}
