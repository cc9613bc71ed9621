import {
  at,
  epochMs,
  type Aggregate,
  hashOf,
  hashText,
  MOVING_STATISTICS,
  type MovingStatistics,
  type RollupsRecord,
  type WindowRow,
} from '@floorwatch/contracts';

/**
 * The state of one window as 18 doubles in a `Float64Array`: an `Aggregate` followed by the moving statistics that came with its newest
 * reading, NaN where there is none, and the sum of its readings' hashes as two 32-bit words, NaN where it is unknown. Window `r` of an
 * array begins at `r * CELLS`.
 */
export const CELLS = 18;

const N = 0;
const REFERENCE = 1;
const MEAN = 2;
const M2 = 3;
const MIN = 4;
const MAX = 5;
const LAST = 6;
const LAST_AT = 7;
const ANOMALOUS = 8;
const UNCERTAIN = 9;
const COUNT_MEAN = 10;
const COUNT_SD = 11;
const TIME_MEAN = 12;
const TIME_SD = 13;
const EW_MEAN = 14;
const EW_SD = 15;
const HASH_HIGH = 16;
const HASH_LOW = 17;
const MOVING_END = HASH_HIGH;
const TWO_32 = 2 ** 32;

/**
 * Copies rollup `index` of a checked record into `into`.
 *
 * @param hashes see `rollupHashes`.
 * @param start of its bucket in epoch milliseconds.
 */
export function loadRollup(
  record: RollupsRecord,
  hashes: Uint32Array | undefined,
  index: number,
  start: number,
  into: Float64Array,
): void {
  const c = record.columns;
  const reference = at(c.reference, index);
  into[N] = at(c.n, index);
  into[REFERENCE] = reference;
  into[MEAN] = at(c.mean, index);
  into[M2] = at(c.m2, index);
  into[MIN] = at(c.min, index);
  into[MAX] = at(c.max, index);
  into[LAST] = at(c.last, index);
  into[LAST_AT] = start + at(c.lastAt, index);
  into[ANOMALOUS] = at(c.anomalous, index);
  into[UNCERTAIN] = at(c.uncertain, index);
  into[COUNT_MEAN] = reference + (c.moving.countMean[index] ?? Number.NaN);
  into[COUNT_SD] = c.moving.countSd[index] ?? Number.NaN;
  into[TIME_MEAN] = reference + (c.moving.timeMean[index] ?? Number.NaN);
  into[TIME_SD] = c.moving.timeSd[index] ?? Number.NaN;
  into[EW_MEAN] = reference + (c.moving.ewMean[index] ?? Number.NaN);
  into[EW_SD] = c.moving.ewSd[index] ?? Number.NaN;
  into[HASH_HIGH] = hashes === undefined ? Number.NaN : hashes[2 * index + 1]!;
  into[HASH_LOW] = hashes === undefined ? Number.NaN : hashes[2 * index]!;
}

/** Readings in the rollup that was loaded into `cells`. */
export const readingsOf = (cells: Float64Array): number => cells[N]!;

/** `mergeAggregate` of the contracts, operation by operation, on cells: the same bits come out. `o` is where the window begins in `into`. */
export function mergeCells(into: Float64Array, o: number, from: Float64Array): void {
  const nInto = into[o + N]!;
  const nFrom = from[N]!;
  const n = nInto + nFrom;
  const delta = from[REFERENCE]! - into[o + REFERENCE]! + (from[MEAN]! - into[o + MEAN]!);
  into[o + M2] = into[o + M2]! + (from[M2]! + delta * delta * ((nInto * nFrom) / n));
  into[o + MEAN] = into[o + MEAN]! + (delta * nFrom) / n;
  into[o + N] = n;
  if (from[MIN]! < into[o + MIN]!) into[o + MIN] = from[MIN]!;
  if (from[MAX]! > into[o + MAX]!) into[o + MAX] = from[MAX]!;
  if (from[LAST_AT]! >= into[o + LAST_AT]!) {
    into[o + LAST] = from[LAST]!;
    into[o + LAST_AT] = from[LAST_AT]!;
    for (let k = COUNT_MEAN; k < MOVING_END; k++) into[o + k] = from[k]!;
  }
  into[o + ANOMALOUS] = into[o + ANOMALOUS]! + from[ANOMALOUS]!;
  into[o + UNCERTAIN] = into[o + UNCERTAIN]! + from[UNCERTAIN]!;
  // What is unknown stays so: NaN compares with nothing.
  const low = into[o + HASH_LOW]! + from[HASH_LOW]!;
  const carry = low >= TWO_32 ? 1 : 0;
  const high = into[o + HASH_HIGH]! + from[HASH_HIGH]! + carry;
  into[o + HASH_LOW] = low - carry * TWO_32;
  into[o + HASH_HIGH] = high >= TWO_32 ? high - TWO_32 : high;
}

/** The window's aggregate as an object, for a row. */
export function aggregateAt(cells: Float64Array, o: number): Aggregate {
  return {
    n: cells[o + N]!,
    reference: cells[o + REFERENCE]!,
    mean: finite(cells[o + MEAN]!),
    m2: finite(cells[o + M2]!),
    min: cells[o + MIN]!,
    max: cells[o + MAX]!,
    last: cells[o + LAST]!,
    lastAt: epochMs(cells[o + LAST_AT]!),
    anomalous: cells[o + ANOMALOUS]!,
    uncertain: cells[o + UNCERTAIN]!,
  };
}

/** The sum of the hashes of the window's readings, for a row; undefined: unknown. */
export const hashAt = (cells: Float64Array, o: number): string | undefined =>
  hashText({ high: cells[o + HASH_HIGH]!, low: cells[o + HASH_LOW]! });

/** The window's moving statistics as an object, for a row. */
export function movingAt(cells: Float64Array, o: number): MovingStatistics {
  return {
    countMean: known(cells[o + COUNT_MEAN]!),
    countSd: known(cells[o + COUNT_SD]!),
    timeMean: known(cells[o + TIME_MEAN]!),
    timeSd: known(cells[o + TIME_SD]!),
    ewMean: known(cells[o + EW_MEAN]!),
    ewSd: known(cells[o + EW_SD]!),
  };
}

/** The cells that {@link aggregateAt}, {@link movingAt} and {@link hashAt} made the row of, bit for bit. */
export function windowCells({
  aggregate,
  moving,
  hash,
}: Pick<WindowRow, 'aggregate' | 'moving' | 'hash'>): Float64Array {
  const { n, reference, mean, m2, min, max, last, lastAt, anomalous, uncertain } = aggregate;
  const statistics = MOVING_STATISTICS.map((name) => moving[name] ?? Number.NaN);
  const { high, low } = hashOf(hash);
  return Float64Array.of(
    n,
    reference,
    mean,
    m2,
    min,
    max,
    last,
    lastAt,
    anomalous,
    uncertain,
    ...statistics,
    high,
    low,
  );
}

const known = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** Squares of values beyond 1e154 overflow; a row must hold numbers that JSON and stores can carry. */
const finite = (value: number): number =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? 0 : Math.sign(value) * Number.MAX_VALUE;
