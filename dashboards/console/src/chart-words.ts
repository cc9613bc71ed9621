import type { SensorView } from '@floorwatch/contracts';

import { BANDS, type BandKind, type ChartPoint, extent } from './chart-data.ts';
import { formatAlike, formatCount, formatDuration, formatInstant, formatQuantity } from './format.ts';

/** How a chart is drawn. */
export interface ChartStyle {
  readonly band: BandKind;
  /** Standard deviations on either side of the moving mean. */
  readonly width: number;
  readonly unit: string | null;
}

/** One point of a chart in words. */
export function describePoint(point: ChartPoint, { band, width, unit }: ChartStyle, now: number): string {
  const suffix = unit === null ? '' : `\u202f${unit}`;
  const centre = point.moving[BANDS[band].mean];
  const deviation = point.moving[BANDS[band].sd];
  const spread = deviation ?? point.max - point.min;
  const [mean = '', min = '', max = ''] = formatAlike([point.mean, point.min, point.max], spread);
  const parts = [`mean ${mean}${suffix}`, `${min} to ${max}${suffix}`];
  if (centre === null || deviation === null) parts.push('band not known yet');
  else {
    const [low = '', high = ''] = formatAlike([centre - width * deviation, centre + width * deviation], spread);
    parts.push(`band ${low} to ${high}${suffix}`);
  }
  parts.push(`${formatCount(point.n)} ${point.n === 1 ? 'reading' : 'readings'}`);
  if (point.open === true) parts.push('still open');
  if (point.incomplete === true) parts.push('readings of it were lost');
  if (point.anomalous > 0) parts.push(`${formatCount(point.anomalous)} anomalous`);
  return `${formatInstant(point.start, now)}: ${parts.join(', ')}`;
}

/** What a whole chart shows, for those who do not see it. */
export function describeChart(
  points: readonly ChartPoint[],
  anomalies: number,
  chart: { readonly label: string; readonly from: number; readonly to: number; readonly unit: string | null },
  now: number,
): string {
  const all = extent(points);
  if (all === undefined) return 'The chart is empty.';
  const count = anomalies === 0 ? 'no anomaly' : anomalies === 1 ? '1 anomaly' : `${formatCount(anomalies)} anomalies`;
  const span = `from ${formatInstant(chart.from, now)} to ${formatInstant(chart.to, now)}`;
  const [least, greatest] = [formatQuantity(all.min, chart.unit), formatQuantity(all.max, chart.unit)];
  const last = formatQuantity(points.at(-1)?.last, chart.unit);
  return (
    `${formatCount(points.length)} points of ${chart.label} ${span}. ` +
    `Readings between ${least} and ${greatest}, the last ${last}; ${count}.`
  );
}

/** Values come as summaries of 10 s, a few seconds after their end; a newest one of this age is as new as can be. */
const AGE_EXPECTED_MS = 30_000;

/** How old the newest value of a sensor is, and whether that is as it should be. */
export function describeReading({ lastAt, state }: Pick<SensorView, 'lastAt' | 'state'>, now: number): string {
  const age = now - lastAt;
  const at = `read at ${formatInstant(lastAt, now)}`;
  if (state === 'unknown') return `${at}; nothing has come since, so nothing can be said of it now`;
  if (age >= 86_400_000) return at;
  return `${at}, ${formatDuration(age)} ago${age < AGE_EXPECTED_MS ? ' (a new value comes every 10 s)' : ''}`;
}
