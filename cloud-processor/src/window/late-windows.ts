import { durationMs, epochMs, type SensorRef, sensorId, type WindowRow } from '@floorwatch/contracts';

import { aggregateAt, CELLS, hashAt, mergeCells, movingAt, windowCells } from './cells.ts';
import { orderOf, placeOf } from './record-order.ts';

/** Which sealed window late readings belong to. */
export interface LateWindowName {
  readonly sensor: SensorRef;
  readonly unit: string | undefined;
  readonly size: number;
  readonly start: number;
  /** Whether readings of it were known to be lost when the first of these came; counts where it has no value yet. */
  readonly incomplete: boolean;
}

/** A window's late rollups as they are saved: rollup `i` came with the record `orders[i]`, its state are the cells from `i * CELLS`. */
export interface LateWindowSnapshot extends LateWindowName {
  readonly orders: Float64Array;
  readonly cells: Float64Array;
}

/** Late rollups of one window, in the order in which they came. */
interface LateWindow {
  readonly name: LateWindowName;
  readonly orders: number[];
  readonly rollups: Float64Array[];
}

/** Windows of one sensor and size whose stored values are wanted. */
export interface LateGroup {
  readonly sensor: SensorRef;
  readonly size: number;
  /** Oldest first, at least one. */
  readonly starts: readonly number[];
}

/**
 * Readings that came after their window was sealed. They wait here, unmerged, until the window's value is known, which may be in the store;
 * then they are merged into it in the order in which they came, and what it holds already is left out.
 *
 * Bounded in rollups: whoever fills it stops at {@link full}.
 */
export class LateWindows {
  readonly #max: number;
  /** By sensor and size, then by start. */
  readonly #waiting = new Map<string, Map<number, LateWindow>>();
  #rollups = 0;
  /** Records whose readings were merged into sealed windows since the start. */
  corrections = 0;
  /** Rollups that their window held already, since the start. */
  known = 0;

  constructor(max: number, from: readonly LateWindowSnapshot[] = []) {
    this.#max = max;
    for (const { orders, cells, ...name } of from) {
      orders.forEach((order, i) => this.add(name, order, cells.subarray(i * CELLS, (i + 1) * CELLS)));
    }
  }

  /** Rollups that wait, each counted once per window size. */
  get rollups(): number {
    return this.#rollups;
  }

  get full(): boolean {
    return this.#rollups >= this.#max;
  }

  /** Takes a loaded rollup of the record `order`; its cells are copied. */
  add(name: LateWindowName, order: number, rollup: Float64Array): void {
    const key = seriesKey(name);
    let series = this.#waiting.get(key);
    if (series === undefined) {
      series = new Map();
      this.#waiting.set(key, series);
    }
    let window = series.get(name.start);
    if (window === undefined) {
      window = { name, orders: [], rollups: [] };
      series.set(name.start, window);
    }
    window.orders.push(order);
    window.rollups.push(rollup.slice());
    this.#rollups += 1;
  }

  /** The windows that wait, by sensor and size. */
  groups(): readonly LateGroup[] {
    return Array.from(this.#waiting.values(), (series) => {
      const [first] = series.values();
      const { sensor, size } = first!.name;
      return { sensor, size, starts: [...series.keys()].sort((a, b) => a - b) };
    });
  }

  /**
   * Merges what waits for one window into its value.
   *
   * @param base the window's newest value; undefined if it has none.
   * @returns the corrected window, or undefined if nothing waited, or `base` holds all of it.
   */
  correct(sensor: SensorRef, size: number, start: number, base: WindowRow | undefined): WindowRow | undefined {
    const key = seriesKey({ sensor, size });
    const series = this.#waiting.get(key);
    const window = series?.get(start);
    if (series === undefined || window === undefined) return undefined;
    series.delete(start);
    if (series.size === 0) this.#waiting.delete(key);
    this.#rollups -= window.rollups.length;
    return this.#merge(window, base);
  }

  #merge({ name, orders, rollups }: LateWindow, base: WindowRow | undefined): WindowRow | undefined {
    // All that came with one record is compared together, so with what the base held before any of this.
    const through = base?.through === undefined ? 0 : orderOf(base.through);
    let cells = base === undefined ? undefined : windowCells(base);
    let [newest, revision] = [through, base?.revision ?? 0];
    for (const [i, rollup] of rollups.entries()) {
      const order = orders[i]!;
      if (order <= through) {
        this.known += 1;
        continue;
      }
      if (order !== newest) revision += 1;
      newest = order;
      if (cells === undefined) cells = rollup.slice();
      else mergeCells(cells, 0, rollup);
    }
    if (cells === undefined || newest === through) return undefined;
    this.corrections += revision - (base?.revision ?? 0);
    const { sensor, size, start } = name;
    const unit = name.unit ?? base?.unit;
    const hash = hashAt(cells, 0);
    return {
      table: 'window',
      sensor,
      ...(unit === undefined ? {} : { unit }),
      size: durationMs(size),
      start: epochMs(start),
      aggregate: aggregateAt(cells, 0),
      moving: movingAt(cells, 0),
      ...(hash !== undefined && { hash }),
      revision,
      through: placeOf(newest),
      incomplete: base === undefined ? name.incomplete : base.incomplete,
    };
  }

  /** A copy of everything, which later changes do not touch. */
  snapshot(): readonly LateWindowSnapshot[] {
    return [...this.#waiting.values()].flatMap((series) =>
      Array.from(series.values(), ({ name, orders, rollups }): LateWindowSnapshot => {
        const cells = new Float64Array(rollups.length * CELLS);
        rollups.forEach((rollup, i) => cells.set(rollup, i * CELLS));
        return { ...name, orders: Float64Array.from(orders), cells };
      }),
    );
  }
}

const seriesKey = ({ sensor, size }: Pick<LateWindowName, 'sensor' | 'size'>): string => `${sensorId(sensor)}\n${size}`;
