import { type DurationMs, durationMs } from '@floorwatch/contracts';

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The duration that a person wrote, such as `500ms`, `30s`, `1.5m`, `2h` or `1d`; undefined if `text` is none. */
export function parseDuration(text: string): DurationMs | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  if (match === null) return undefined;
  const ms = Math.round(Number(match[1]) * (UNITS_MS[match[2] ?? ''] ?? Number.NaN));
  return Number.isSafeInteger(ms) ? durationMs(ms) : undefined;
}
