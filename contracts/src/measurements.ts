import { days, hours } from './time.ts';

/**
 * Where rows live in InfluxDB: the measurement is the row's table, the bucket depends on how long it is worth keeping. Tags are
 * site, gateway, device, metric; plus size for windows and late readings; kind and detector for anomalies. What may change during an
 * episode is no tag. Every other value is a field, and every number is a float.
 */
export const BUCKETS = {
  /** Sealed windows, anomalies, late readings, gateways. */
  main: { name: 'floorwatch', retentionDefault: days(365) },
  /** Running values of open windows. */
  live: { name: 'floorwatch_live', retentionDefault: hours(6) },
} as const;

/** The windows that a processor makes unless told otherwise. */
export const WINDOW_SIZES_DEFAULT = [60_000, 900_000, 3_600_000] as const;

/** How a window size is written in tags, in the API and on pages: `1m`, `15m`, `1h`, else seconds such as `90s`. */
export function sizeLabel(size: number): string {
  for (const [unit, ms] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const) {
    if (size % ms === 0) return `${size / ms}${unit}`;
  }
  return `${size / 1_000}s`;
}

/** The size in milliseconds that `label` (see {@link sizeLabel}) names, or undefined. */
export function parseSizeLabel(label: string): number | undefined {
  const match = /^([1-9]\d{0,8})([smhd])$/.exec(label);
  if (match === null) return undefined;
  const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as 's' | 'm' | 'h' | 'd'];
  return Number(match[1]) * unit;
}
