/**
 * The mergeable summary of a set of readings. It is what a rollup and a window hold, and merging is associative up to
 * rounding, so readings can be summed on the gateway, again per window, and again for longer ones.
 *
 * Mean and M2 are kept over `value − reference`, with the first reading as the reference: a near-constant series at 1e9 ± 1e-3 has
 * no digits left for its variance otherwise.
 *
 * Invariant: n ≥ 1, min ≤ max, m2 ≥ 0. Example: the readings 10, 12, 14 give
 * `{ n: 3, reference: 10, mean: 2, m2: 8, min: 10, max: 14, … }`: the mean is 12, the variance 8/3.
 */
export interface Aggregate {
  /** Number of readings. */
  n: number;
  /** The value that `mean` and `m2` are relative to, in the sensor's unit. */
  reference: number;
  /** Mean of value − reference, in the sensor's unit. */
  mean: number;
  /** Sum of squared distances from the mean, in the unit squared. */
  m2: number;
  min: number;
  max: number;
  /** The reading with the latest event time; of several with the same time, the one that came last. */
  last: number;
  /** Event time of `last`, epoch milliseconds. */
  lastAt: number;
  /** Readings that were part of an anomaly. */
  anomalous: number;
  /** Readings whose quality was `uncertain`. */
  uncertain: number;
}

/** The summary of one reading. */
export function aggregateOf(value: number, at: number, anomalous: boolean, uncertain: boolean): Aggregate {
  return {
    n: 1,
    reference: value,
    mean: 0,
    m2: 0,
    min: value,
    max: value,
    last: value,
    lastAt: at,
    anomalous: anomalous ? 1 : 0,
    uncertain: uncertain ? 1 : 0,
  };
}

/** Adds one reading to `into` (Welford 1962, on value − reference). */
export function addReading(into: Aggregate, value: number, at: number, anomalous: boolean, uncertain: boolean): void {
  const shifted = value - into.reference;
  into.n += 1;
  const delta = shifted - into.mean;
  into.mean += delta / into.n;
  into.m2 += delta * (shifted - into.mean);
  if (value < into.min) into.min = value;
  if (value > into.max) into.max = value;
  if (at >= into.lastAt) {
    into.last = value;
    into.lastAt = at;
  }
  if (anomalous) into.anomalous += 1;
  if (uncertain) into.uncertain += 1;
}

/**
 * Adds the readings summed in `from` to `into`, which keeps its reference (Chan, Golub, LeVeque 1979, "Updating formulae and a
 * pairwise algorithm for computing sample variances"). Hazard: the distance of the means is the difference of two nearly equal
 * numbers. The references are subtracted first, which is exact for nearby ones (Sterbenz), so nothing is lost to a large offset.
 */
export function mergeAggregate(into: Aggregate, from: Readonly<Aggregate>): void {
  const delta = from.reference - into.reference + (from.mean - into.mean);
  const n = into.n + from.n;
  into.m2 += from.m2 + delta * delta * ((into.n * from.n) / n);
  into.mean += (delta * from.n) / n;
  into.n = n;
  if (from.min < into.min) into.min = from.min;
  if (from.max > into.max) into.max = from.max;
  if (from.lastAt >= into.lastAt) {
    into.last = from.last;
    into.lastAt = from.lastAt;
  }
  into.anomalous += from.anomalous;
  into.uncertain += from.uncertain;
}

/** The mean of the readings, in the sensor's unit. */
export const meanOf = (a: Readonly<Aggregate>): number => a.reference + a.mean;

/** The population variance (divided by n, 0 for one reading), in the unit squared. */
export const varianceOf = (a: Readonly<Aggregate>): number => Math.max(0, a.m2 / a.n);

/** The population standard deviation, in the sensor's unit. */
export const sdOf = (a: Readonly<Aggregate>): number => Math.sqrt(varianceOf(a));
