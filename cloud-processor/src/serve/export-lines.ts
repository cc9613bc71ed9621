import {
  type AnomalyRow,
  epochMs,
  type ExportedWindow,
  type ExportEnd,
  type ExportError,
  meanOf,
  type Page,
  sdOf,
  shift,
  sizeLabel,
  varianceOf,
  type WindowRow,
} from '@floorwatch/contracts';

import { exactJson } from '../write/stored-row.ts';
import { storeTrouble } from './failures.ts';
import type { ExportSource } from './export-stream.ts';
import { finite } from './window-list.ts';

const encoder = new TextEncoder();
const encodeLine = (line: ExportEnd | ExportError): Uint8Array => encoder.encode(`${JSON.stringify(line)}\n`);

/** Asks for one page. */
export type ReadPage<T> = (after: string | undefined) => Promise<Page<T>>;

/**
 * The pages of a list as lines of JSON, and behind them the line that tells whether these were all. Never fails: what goes wrong on the
 * way becomes the last line.
 *
 * @param first the first page, which the caller has read to see that the store answers.
 * @param failed hears of what goes wrong later.
 */
export function exportLines<T>(
  first: Page<T>,
  read: ReadPage<T>,
  encode: (item: T) => string,
  failed: (error: unknown) => void,
): ExportSource['next'] {
  let page: Page<T> | undefined = first;
  let after: string | null = null;
  let rows = 0;
  let ended = false;
  return async () => {
    if (ended) return undefined;
    try {
      page ??= await read(after ?? undefined);
      if (page.items.length === 0) {
        ended = true;
        return encodeLine({ table: 'end', rows });
      }
      const lines = page.items.map((item) => `${encode(item)}\n`).join('');
      rows += page.items.length;
      after = page.next;
      page = after === null ? { items: [], next: null } : undefined;
      return encoder.encode(lines);
    } catch (error) {
      ended = true;
      failed(error);
      return encodeLine({ table: 'error', rows, ...storeTrouble(error) });
    }
  };
}

export const encodeAnomaly = (row: AnomalyRow): string => exactJson(row);

export function encodeWindow(row: WindowRow): string {
  const { sensor, unit, size, start, aggregate, moving, revision, incomplete, hash } = row;
  const { n, min, max, last, lastAt, anomalous, uncertain, reference, mean, m2 } = aggregate;
  const line: ExportedWindow = {
    table: 'window',
    sensor,
    unit: unit ?? null,
    size: sizeLabel(size),
    start,
    end: shift(start, size),
    n,
    mean: meanOf(aggregate),
    variance: finite(varianceOf(aggregate)),
    sd: finite(sdOf(aggregate)),
    min,
    max,
    last,
    lastAt: epochMs(lastAt),
    anomalous,
    uncertain,
    moving,
    revision,
    incomplete,
    hash: hash ?? null,
    aggregate: { reference, mean, m2 },
  };
  return exactJson(line);
}
