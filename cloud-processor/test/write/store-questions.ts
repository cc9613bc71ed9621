import { durationMs, epochMs, type Page, type Row, type SensorRef, type WindowRow } from '@floorwatch/contracts';
import { expect } from 'vitest';

import type { Store } from '../../src/write/store.ts';
import { anomalyRow, BASE, gatewayRow, MINUTE, PRESS, windowRow } from './sample-rows.ts';

/** Further than any time that a store can be asked for. */
export const FAR = 8_640_000_000_000_000;
export const never: AbortSignal = new AbortController().signal;

export const everything = {
  sensor: PRESS,
  size: durationMs(MINUTE),
  from: epochMs(-FAR),
  to: epochMs(FAR),
  limit: 5_000,
} as const;

export const anything = { from: epochMs(-FAR), to: epochMs(FAR), limit: 5_000 } as const;

export const allWindows = (store: Store, sensor: SensorRef = PRESS): Promise<Page<WindowRow>> =>
  store.windows({ ...everything, sensor });

export const allAnomalies = (store: Store) => store.anomalies(anything);

export async function windowStarts(store: Store, from: number, to: number): Promise<number[]> {
  const { items } = await store.windows({ ...everything, from: epochMs(from), to: epochMs(to) });
  return items.map((row) => row.start);
}

export async function allPages<T>(limit: number, ask: (after: string | undefined) => Promise<Page<T>>): Promise<T[][]> {
  const found: T[][] = [];
  let after: string | undefined;
  do {
    const page = await ask(after);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    found.push([...page.items]);
    after = page.next ?? undefined;
  } while (after !== undefined && found.length < 100);
  return found;
}

export async function windowPages(store: Store, limit: number): Promise<number[][]> {
  const found = await allPages(limit, (after) =>
    store.windows({ ...everything, limit, ...(after === undefined ? {} : { after }) }),
  );
  return found.map((page) => page.map((row) => row.start));
}

export async function anomalyPages(store: Store, limit: number): Promise<string[][]> {
  const found = await allPages(limit, (after) =>
    store.anomalies({ ...anything, limit, ...(after === undefined ? {} : { after }) }),
  );
  return found.map((page) => page.map((row) => row.id));
}

/** 7 in threes: [3, 3, 1]. */
export function chunkLengths(total: number, size: number): number[] {
  const full = Math.floor(total / size);
  return [...Array<number>(full).fill(size), ...(total % size === 0 ? [] : [total % size])];
}

export const lastByKey = <T>(rows: readonly T[], key: (row: T) => string): T[] => [
  ...new Map(rows.map((row) => [key(row), row])).values(),
];

export const byFirst = (a: readonly [string, ...unknown[]], b: readonly [string, ...unknown[]]): number =>
  a[0] < b[0] ? -1 : 1;

/** Writes rows that must all be accepted. */
export async function written(store: Store, rows: readonly Row[]): Promise<void> {
  expect(await store.write(rows, never)).toEqual({ kind: 'written' });
}

export const anomalyAt = (minute: number, id: string, more: Partial<ReturnType<typeof anomalyRow>> = {}) =>
  anomalyRow({ openedAt: epochMs(BASE + minute * MINUTE), id: id.padStart(32, '0'), ...more });

export const windowOf = (ms: number, start: number, device: string): WindowRow =>
  windowRow({ size: durationMs(ms), start: epochMs(start), sensor: { ...PRESS, device } });

export const report = (gateway: string, at: number): Row => gatewayRow({ gateway, at: epochMs(at) });
