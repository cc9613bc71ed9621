import type { MovingStatistics, RollupPoint, WindowView } from '@floorwatch/contracts';

/** Which of a sensor's moving statistics make the band. */
export const BANDS = {
  count: { label: 'last readings', mean: 'countMean', sd: 'countSd' },
  time: { label: 'last stretch of time', mean: 'timeMean', sd: 'timeSd' },
  ew: { label: 'exponentially weighted', mean: 'ewMean', sd: 'ewSd' },
} as const satisfies Record<
  string,
  { readonly label: string; readonly mean: keyof MovingStatistics; readonly sd: keyof MovingStatistics }
>;
export type BandKind = keyof typeof BANDS;

/** One point of a chart, whether ten seconds or an hour long. */
export type ChartPoint = Pick<RollupPoint, 'start' | 'n' | 'mean' | 'min' | 'max' | 'last' | 'anomalous' | 'moving'> &
  Partial<Pick<WindowView, 'open' | 'incomplete' | 'sd'>>;

/** One list per line of the chart, all of one length; `x` in epoch seconds, as uPlot wants it. A row of nulls is a gap. */
export interface ChartData {
  readonly x: number[];
  readonly min: (number | null)[];
  readonly max: (number | null)[];
  readonly low: (number | null)[];
  readonly high: (number | null)[];
  readonly moving: (number | null)[];
  readonly mean: (number | null)[];
  /** The point of every row; undefined in a gap. */
  readonly points: (ChartPoint | undefined)[];
}

/** Points further apart than this many steps are not joined by a line, unless the sensor always reports that rarely. */
const GAP_STEPS = 3;

/**
 * Lays points out for the chart.
 *
 * @param points oldest first, no two with the same start.
 * @param stepMs length of a point.
 * @param k how many standard deviations the band is wide on either side of the moving mean.
 */
export function chartData(points: readonly ChartPoint[], stepMs: number, band: BandKind, k: number): ChartData {
  const data: ChartData = { x: [], min: [], max: [], low: [], high: [], moving: [], mean: [], points: [] };
  const gap = GAP_STEPS * Math.max(stepMs, medianDistance(points));
  let before: ChartPoint | undefined;
  for (const point of points) {
    if (before !== undefined && point.start - before.start > gap)
      addRow(data, before.start + gap / 2, undefined, band, k);
    addRow(data, point.start + stepMs / 2, point, band, k);
    before = point;
  }
  return data;
}

function addRow(data: ChartData, at: number, point: ChartPoint | undefined, band: BandKind, k: number): void {
  const mean = point?.moving[BANDS[band].mean] ?? null;
  const sd = point?.moving[BANDS[band].sd] ?? null;
  data.x.push(at / 1_000);
  data.min.push(point?.min ?? null);
  data.max.push(point?.max ?? null);
  data.low.push(mean === null || sd === null ? null : mean - k * sd);
  data.high.push(mean === null || sd === null ? null : mean + k * sd);
  data.moving.push(mean);
  data.mean.push(point?.mean ?? null);
  data.points.push(point);
}

function medianDistance(points: readonly ChartPoint[]): number {
  const distances = points.slice(1).map((point, index) => point.start - (points[index]?.start ?? point.start));
  distances.sort((a, b) => a - b);
  return distances[Math.floor(distances.length / 2)] ?? 0;
}

/** `points` with newer ones: the same start replaces, the others are put in order, and what is older than `from` goes. */
export function mergePoints<T extends ChartPoint>(points: readonly T[], newer: readonly T[], from: number): T[] {
  const byStart = new Map(points.map((point) => [point.start as number, point]));
  for (const point of newer) byStart.set(point.start, point);
  return [...byStart.values()].filter((point) => point.start >= from).sort((a, b) => a.start - b.start);
}

/** The least and the greatest of what the points read; undefined without points. */
export function extent(points: readonly ChartPoint[]): { readonly min: number; readonly max: number } | undefined {
  if (points.length === 0) return undefined;
  return points.reduce((all, { min, max }) => ({ min: Math.min(all.min, min), max: Math.max(all.max, max) }), {
    min: Infinity,
    max: -Infinity,
  });
}
