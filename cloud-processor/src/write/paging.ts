import {
  gatewayKey,
  type GatewayName,
  limits,
  type NewestWindow,
  type Page,
  type SensorRef,
  sensorId,
  sizeLabel,
  type WindowRow,
} from '@floorwatch/contracts';

import { StoreError } from './store.ts';

/** The number of items that a page may hold, whatever was asked for. */
export const pageSize = (limit: number): number => Math.min(Math.max(1, Math.trunc(limit)), limits.pageRowsMax);

/** What a list's next page begins behind. Opaque to callers, so that a store may change what it means. */
export type Cursor = readonly (string | number)[];

const encodeCursor = (cursor: Cursor): string => Buffer.from(JSON.stringify(cursor)).toString('base64url');

/**
 * Reads what {@link pageOf} gave out.
 *
 * @throws StoreError `refused` for anything else.
 */
export function decodeCursor<const T extends readonly ('string' | 'number')[]>(
  after: string,
  types: T,
): { [K in keyof T]: T[K] extends 'string' ? string : number } {
  try {
    const cursor: unknown = JSON.parse(Buffer.from(after, 'base64url').toString('utf8'));
    if (
      Array.isArray(cursor) &&
      cursor.length === types.length &&
      types.every((type, i) => typeof cursor[i] === type && (type === 'string' || Number.isSafeInteger(cursor[i])))
    ) {
      return cursor as { [K in keyof T]: T[K] extends 'string' ? string : number };
    }
  } catch {
    // Falls through to the one message for whatever is wrong.
  }
  throw new StoreError('refused', 'after: must be the "next" of an earlier page of the same list');
}

/** A page of `size` items out of `found`, which was asked for one more to see whether there is a next page. */
export function pageOf<T>(found: readonly T[], size: number, cursorOf: (last: T) => Cursor): Page<T> {
  if (found.length <= size) return { items: found, next: null };
  const items = found.slice(0, size);
  const last = items.at(-1);
  return { items, next: last === undefined ? null : encodeCursor(cursorOf(last)) };
}

/** What a page of windows of many sensors begins behind: start, names of the sensor, size. */
export const SERIES_CURSOR = ['number', 'string', 'string', 'string', 'string', 'string'] as const;

/** The place of a window in a list by time. */
export const seriesCursor = ({ start, sensor, size }: WindowRow): Cursor => [
  start,
  ...namesOf(sensor),
  sizeLabel(size),
];

/** Gathers the newest window per sensor among the newest of each size, for at most `limit` sensors. */
export class NewestPerSensor {
  readonly #limit: number;
  readonly #newest = new Map<string, WindowRow>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(row: WindowRow): void {
    const id = sensorId(row.sensor);
    const known = this.#newest.get(id);
    if (known === undefined ? this.#newest.size < this.#limit : isNewer(row, known)) this.#newest.set(id, row);
  }

  windows(): NewestWindow[] {
    return [...this.#newest.values()];
  }
}

/** Gathers when the last window of each gateway ends. */
export class LastEnds {
  readonly #ends = new Map<string, GatewayName & { end: number }>();

  offer({ sensor: { site, gateway }, start, size }: WindowRow): void {
    const key = gatewayKey({ site, gateway });
    const known = this.#ends.get(key);
    if (known === undefined) this.#ends.set(key, { site, gateway, end: start + size });
    else known.end = Math.max(known.end, start + size);
  }

  all(): (GatewayName & { readonly end: number })[] {
    return [...this.#ends.values()];
  }
}

/** Of two that start together the shorter one: it is sealed earlier, so the next one comes earlier, too. */
const isNewer = (a: WindowRow, b: WindowRow): boolean => a.start > b.start || (a.start === b.start && a.size < b.size);

/** The four names in the order of {@link SensorRef}, for stores that bind values by place. */
export const namesOf = ({ site, gateway, device, metric }: SensorRef): [string, string, string, string] => [
  site,
  gateway,
  device,
  metric,
];
