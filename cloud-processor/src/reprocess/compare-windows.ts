import { isDeepStrictEqual } from 'node:util';

import { durationMs, epochMs, gatewayKey, type Row, type WindowRow } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';
import type { LateWindows } from '../window/late-windows.ts';
import { orderOf } from '../window/record-order.ts';
import { markedIncomplete } from '../write/incomplete-marker.ts';
import { readWindows, stretches, windowPages } from '../write/read-windows.ts';
import { rowKey } from '../write/row-key.ts';
import type { Store } from '../write/store.ts';
import { type ReplayOutput, unsentOf } from './replay-output.ts';

/** What became of the windows of a replay. */
export interface WindowCounts {
  /** The store holds exactly this. */
  same: number;
  /** The store had none. */
  missing: number;
  /** The store held another one. */
  changed: number;
  /** The store holds one that knows of later records, or of more readings: it stays. */
  kept: number;
}

/**
 * Compares windows of a replay with the newest that is known of them, and lets those out that differ and are not behind.
 *
 * A window that late readings have corrected is behind at first, when it is sealed: such windows wait here, and become what they are in the
 * store when the replay comes to the late readings.
 */
export class WindowComparison {
  readonly #counts: WindowCounts;
  readonly #store: Pick<Store, 'windows' | 'windowsByTime'>;
  readonly #output: ReplayOutput;
  /** Sealed, and not compared yet. */
  #sealed: WindowRow[] = [];
  /** Values that only this replay knows, by key: they are behind, or nothing is to be written at all. */
  readonly #known = new Map<string, { readonly row: WindowRow; readonly isBehind: boolean }>();
  /** What went out, so that a window that is corrected afterwards counts once. */
  readonly #written = new Set<string>();
  /** Windows that were behind and found no room here; what the store holds of them stays. */
  #forgotten = 0;

  /** @param counts where it counts. */
  constructor(store: Pick<Store, 'windows' | 'windowsByTime'>, output: ReplayOutput, counts: WindowCounts) {
    this.#store = store;
    this.#output = output;
    this.#counts = counts;
  }

  /** Takes sealed windows that are whole. */
  async add(rows: readonly WindowRow[]): Promise<void> {
    this.#sealed.push(...rows);
    if (this.#sealed.length >= processorLimits.replayedRowsMax) await this.#compareSealed();
  }

  /** Merges late readings into the windows that they belong to. `isWanted`: whether a window is to be made again. */
  async correct(late: LateWindows, isWanted: (window: WindowName) => boolean): Promise<void> {
    await this.#compareSealed();
    const firstOrders = new Map(
      late.snapshot().map(({ sensor, size, start, orders }) => {
        return [keyOf({ sensor, size: durationMs(size), start: epochMs(start) }), orders[0]!] as const;
      }),
    );
    for (const { sensor, size, starts } of late.groups()) {
      const nameOf = (start: number): WindowName => ({ sensor, size: durationMs(size), start: epochMs(start) });
      const wanted = starts.filter((start) => {
        if (isWanted(nameOf(start))) return true;
        late.correct(sensor, size, start, undefined);
        return false;
      });
      for (let from = 0; from < wanted.length; from += processorLimits.readWindowsMax) {
        const part = wanted.slice(from, from + processorLimits.readWindowsMax);
        const unsent = unsentOf(
          this.#output,
          part.map((start) => keyOf(nameOf(start))),
        );
        const stored = await readWindows(this.#store, sensor, durationMs(size), part);
        for (const start of part) {
          const key = keyOf(nameOf(start));
          const newest = this.#newest(key, unsent, stored.get(start));
          const corrected = late.correct(sensor, size, start, this.#baseOf(key, newest, firstOrders.get(key)!));
          if (corrected !== undefined) await this.#settle(corrected, newest);
        }
      }
    }
  }

  /**
   * What late readings are merged into. Where this replay knows nothing better, the newest value is right if it holds none of them, because it
   * was compared when the window was sealed. If it holds some already, the window began with late readings, and is made from nothing.
   */
  #baseOf(key: string, newest: WindowRow | undefined, firstOrder: number): WindowRow | undefined {
    const known = this.#known.get(key);
    if (known !== undefined) return known.row;
    return newest !== undefined && throughOf(newest) >= firstOrder && this.#forgotten === 0 ? undefined : newest;
  }

  /** Compares what is left. Nothing may come after it. */
  async end(): Promise<void> {
    await this.#compareSealed();
    for (const { isBehind } of this.#known.values()) if (isBehind) this.#counts.kept += 1;
    this.#counts.kept += this.#forgotten;
    this.#known.clear();
  }

  async #compareSealed(): Promise<void> {
    const sealed = this.#sealed;
    this.#sealed = [];
    const groups = new Map<string, WindowRow[]>();
    for (const row of sealed) {
      const key = `${gatewayKey(row.sensor)}\n${row.size}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [row]);
      else group.push(row);
    }
    for (const rows of groups.values()) {
      const unsent = unsentOf(this.#output, rows.map(rowKey));
      const stored = await this.#storedOf(rows);
      for (const row of rows) {
        const key = rowKey(row);
        await this.#settle(row, this.#newest(key, unsent, stored.get(key)));
      }
    }
  }

  /** What the store holds of windows of one gateway and size, by key. They were sealed together, so they lie close together. */
  async #storedOf(rows: readonly WindowRow[]): Promise<Map<string, WindowRow>> {
    const found = new Map<string, WindowRow>();
    const wanted = new Set(rows.map(rowKey));
    const { sensor, size } = rows[0]!;
    const starts = [...new Set(rows.map(({ start }) => start))].sort((a, b) => a - b);
    for (const [first, last] of stretches(starts, size)) {
      const { site, gateway } = sensor;
      const range = { from: epochMs(first), to: epochMs(last + 1) };
      for await (const page of windowPages(this.#store, { site, gateway, size, ...range })) {
        for (const row of page) if (wanted.has(rowKey(row))) found.set(rowKey(row), row);
      }
    }
    return found;
  }

  /** The newest value of a window that is on its way to the store, or in it. `before`: what was on its way when the store was asked. */
  #newest(key: string, before: ReadonlyMap<string, Row>, stored: WindowRow | undefined): WindowRow | undefined {
    const unsent = this.#output.unsent(key) ?? before.get(key);
    return unsent?.table === 'window' ? unsent : stored;
  }

  /** A window was made; `newest` is the newest value that is known besides. */
  async #settle(row: WindowRow, newest: WindowRow | undefined): Promise<void> {
    const key = rowKey(row);
    if (newest !== undefined && throughOf(newest) > throughOf(row)) {
      this.#keep(key, row, true);
      return;
    }
    this.#known.delete(key);
    if (newest !== undefined && newest.aggregate.n > row.aggregate.n) {
      // Merging only adds readings, so something is missing in the new one.
      this.#counts.kept += 1;
    } else if (isDeepStrictEqual(newest, row) || isMarked(newest, row)) this.#counts.same += 1;
    else {
      if (!this.#written.has(key)) this.#counts[newest === undefined ? 'missing' : 'changed'] += 1;
      if (this.#written.size < processorLimits.replayedWindowsKeptMax) this.#written.add(key);
      if (this.#output.isDry) this.#keep(key, row, false);
      else await this.#output.put(row);
    }
  }

  #keep(key: string, row: WindowRow, isBehind: boolean): void {
    if (this.#known.size < processorLimits.replayedWindowsKeptMax || this.#known.has(key)) {
      this.#known.set(key, { row, isBehind });
    } else if (isBehind) this.#forgotten += 1;
  }
}

/** What tells a window from others. */
export type WindowName = Pick<WindowRow, 'sensor' | 'size' | 'start'>;

/** Whether `newest` is `row` with the mark that it gets when a gap comes after the seal, and that is put on all such windows at the end. */
const isMarked = (newest: WindowRow | undefined, row: WindowRow): boolean =>
  !row.incomplete && isDeepStrictEqual(newest, markedIncomplete(row));

const keyOf = (window: WindowName): string => rowKey({ table: 'window', ...window });

const throughOf = ({ through }: WindowRow): number => (through === undefined ? 0 : orderOf(through));
