import {
  addHash,
  type Aggregate,
  type CountedRow,
  hashOf,
  type HashSum,
  meanOf,
  mergeAggregate,
  noHashes,
  type SensorName,
  sensorKey,
  varianceOf,
  type WindowRow,
} from '@floorwatch/contracts';

import { aggregateAt, CELLS, hashAt } from '../window/cells.ts';
import type { LateWindowSnapshot } from '../window/late-windows.ts';
import { orderOf } from '../window/record-order.ts';

/** What the windows of one size hold of a sensor in the stretch. */
export interface SizeTally {
  n: number;
  readonly hash: HashSum;
  windows: number;
  /** Readings of those windows that are newer than the cut: how many of them came after it is not known. */
  newer: number;
  /** The newest record in one of them. */
  through: number;
  incomplete: boolean;
  /** Of all of them together. */
  aggregate: Aggregate | undefined;
}

/** What the gateway told of a sensor in the stretch, and what windows hold. */
export interface SensorTally {
  readonly name: SensorName;
  told: { n: number; readonly hash: HashSum; through: number } | undefined;
  /** What the gateway told after the cut was met: what it had told before is not known. */
  toldLater: boolean;
  readonly sizes: Map<number, SizeTally>;
}

/** A window as it is compared, wherever it comes from. */
export type TalliedWindow = Pick<WindowRow, 'aggregate'> & {
  readonly sensor: SensorName;
  readonly size: number;
  readonly start: number;
  readonly hash: string | undefined;
  /** Of the last record in it. */
  readonly through: number;
  readonly incomplete: boolean;
  /** It is newer than the cut. */
  readonly isNewer?: boolean;
};

/** Which window: the gateway is known. */
export const windowKey = (sensor: SensorName, size: number, start: number): string =>
  `${sensorKey(sensor)}\n${size}\n${start}`;

/** Adds up one gateway's counts and windows of one stretch of event time. Memory: per sensor, not per window. */
export class StretchTally {
  readonly sensors = new Map<string, SensorTally>();
  readonly #late = new Map<string, LateWindowSnapshot>();
  readonly #lateMet = new Set<string>();

  /** Late readings that wait for their window; to be called before the windows are added. */
  late(window: LateWindowSnapshot): void {
    this.#late.set(windowKey(window.sensor, window.size, window.start), window);
  }

  sensor(name: SensorName): SensorTally {
    const key = sensorKey(name);
    let tally = this.sensors.get(key);
    if (tally === undefined) {
      const { device, metric } = name;
      tally = { name: { device, metric }, told: undefined, toldLater: false, sizes: new Map() };
      this.sensors.set(key, tally);
    }
    return tally;
  }

  told({ sensor, n, hash, through }: CountedRow): void {
    const tally = this.sensor(sensor);
    tally.told ??= { n: 0, hash: noHashes(), through: 0 };
    tally.told.n += n;
    tally.told.through = Math.max(tally.told.through, orderOf(through));
    addHash(tally.told.hash, hashOf(hash));
  }

  window({ sensor, size, start, aggregate, hash, through, incomplete, isNewer }: TalliedWindow): void {
    const tally = this.#size(sensor, size);
    this.#add(tally, aggregate, hash, through);
    tally.windows += 1;
    if (isNewer === true) tally.newer += aggregate.n;
    tally.incomplete ||= incomplete;
    const key = windowKey(sensor, size, start);
    const late = this.#late.get(key);
    if (late === undefined) return;
    this.#lateMet.add(key);
    this.#addLate(tally, late, through);
  }

  /** To be called when all windows are added: late readings whose window is nowhere are one of their own. */
  finish(): void {
    for (const [key, late] of this.#late) {
      if (this.#lateMet.has(key)) continue;
      const tally = this.#size(late.sensor, late.size);
      tally.windows += 1;
      this.#addLate(tally, late, 0);
    }
  }

  #size(sensor: SensorName, size: number): SizeTally {
    const { sizes } = this.sensor(sensor);
    let tally = sizes.get(size);
    if (tally === undefined) {
      tally = { n: 0, hash: noHashes(), windows: 0, newer: 0, through: 0, incomplete: false, aggregate: undefined };
      sizes.set(size, tally);
    }
    return tally;
  }

  /** As `LateWindows` merges them: what the window has already is left out. */
  #addLate(tally: SizeTally, { orders, cells, incomplete }: LateWindowSnapshot, through: number): void {
    for (const [i, order] of orders.entries()) {
      if (order > through) this.#add(tally, aggregateAt(cells, i * CELLS), hashAt(cells, i * CELLS), order);
    }
    tally.incomplete ||= incomplete;
  }

  #add(tally: SizeTally, aggregate: Readonly<Aggregate>, hash: string | undefined, through: number): void {
    tally.n += aggregate.n;
    addHash(tally.hash, hashOf(hash));
    tally.through = Math.max(tally.through, through);
    if (tally.aggregate === undefined) tally.aggregate = { ...aggregate };
    else mergeAggregate(tally.aggregate, aggregate);
  }
}

/** The place of a row's last record; 0 for rows of releases that did not know it. */
export const throughOfRow = ({ through }: Pick<WindowRow, 'through'>): number =>
  through === undefined ? 0 : orderOf(through);

/** Which figure of two aggregates over the same readings is not the same, up to rounding; undefined: none. */
export function differingFigure(a: Readonly<Aggregate>, b: Readonly<Aggregate>): string | undefined {
  for (const name of ['n', 'min', 'max', 'lastAt', 'anomalous', 'uncertain'] as const) {
    if (a[name] !== b[name]) return name;
  }
  // Of several readings with one time, the order of merging decides which is the last.
  if (a.last !== b.last && (a.last < a.min || a.last > a.max || b.last < b.min || b.last > b.max)) return 'last';
  const scale = Math.max(Math.abs(a.min), Math.abs(a.max), Number.MIN_VALUE);
  if (!(Math.abs(meanOf(a) - meanOf(b)) <= 1e-9 * scale)) return 'mean';
  const [va, vb] = [varianceOf(a), varianceOf(b)];
  if (!(Math.abs(va - vb) <= 1e-6 * Math.max(va, vb) + 1e-12 * scale * scale)) return 'variance';
  return undefined;
}
