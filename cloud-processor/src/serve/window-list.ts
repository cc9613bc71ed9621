import {
  type DurationMs,
  type EpochMs,
  epochMs,
  type LiveWindowRow,
  meanOf,
  type Page,
  sdOf,
  type SensorRef,
  shift,
  sizeLabel,
  varianceOf,
  type WindowRow,
  type WindowView,
} from '@floorwatch/contracts';

import type { OpenWindows } from '../floor-observer.ts';
import type { Store } from '../write/store.ts';

export interface WindowListQuery {
  readonly sensor: SensorRef;
  readonly size: DurationMs;
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly limit: number;
}

/**
 * One page of a sensor's windows, oldest first: what the store has sealed, and what is still open. The start of a page's last window is
 * its key, so a window that is sealed between two requests is neither missed nor repeated.
 */
export async function listWindows(
  store: Pick<Store, 'windows'>,
  open: OpenWindows,
  query: WindowListQuery,
): Promise<Page<WindowView>> {
  // Before the store is asked: a window that is sealed meanwhile is then in the store's answer, in the open ones, or in both.
  const stillOpen = open.openWindows(query.sensor, query.size);
  const sealed = await store.windows(query);
  const last = sealed.items.at(-1);
  // Behind a page that is not the store's last there are sealed windows to come before any later open one.
  const to = sealed.next === null || last === undefined ? query.to : shift(last.start, 1);
  const views = new Map<number, WindowView>();
  for (const row of stillOpen) {
    if (row.start >= query.from && row.start < to) views.set(row.start, openView(row));
  }
  for (const row of sealed.items) views.set(row.start, sealedView(row));
  const items = [...views.values()].sort((a, b) => a.start - b.start);
  const page = items.slice(0, query.limit);
  const more = sealed.next !== null || items.length > page.length;
  return { items: page, next: more ? String(page.at(-1)?.start ?? query.from) : null };
}

function sealedView(row: WindowRow): WindowView {
  return { ...view(row), open: false, revision: row.revision, incomplete: row.incomplete };
}

function openView(row: LiveWindowRow): WindowView {
  return { ...view(row), open: true, revision: 0, incomplete: false };
}

function view({ size, start, aggregate, moving, hash }: WindowRow | LiveWindowRow) {
  return {
    size: sizeLabel(size),
    start,
    end: shift(start, size),
    n: aggregate.n,
    mean: meanOf(aggregate),
    variance: finite(varianceOf(aggregate)),
    sd: finite(sdOf(aggregate)),
    min: aggregate.min,
    max: aggregate.max,
    last: aggregate.last,
    lastAt: epochMs(aggregate.lastAt),
    anomalous: aggregate.anomalous,
    moving,
    hash: hash ?? null,
  };
}

/** JSON has no infinity, which is what becomes of the squares of values near the end of all numbers. */
export const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
