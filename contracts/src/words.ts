/** How numbers, lengths of time and instants are written in the texts of every program: in messages, status and the log. */

const DURATIONS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

const SIZES = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const;

const whole = new Intl.NumberFormat('en');

/** `1 record`, `1,003 records`: a count and the plural in -s. */
export const counted = (count: number, thing: string): string =>
  `${whole.format(count)} ${thing}${count === 1 ? '' : 's'}`;

/** A length of time, in milliseconds, to two digits, or whole from 100 on, in the largest unit of which it is one: `2.5 h`, `0.21 ms`, `400 d`. */
export function durationInWords(ms: number): string {
  const [unit, size] = DURATIONS.find(([, unitMs]) => twoDigits(ms / unitMs) >= 1) ?? (['ms', 1] as const);
  return `${twoDigits(ms / size)} ${unit}`;
}

const twoDigits = (amount: number): number => (amount < 100 ? Number(amount.toPrecision(2)) : Math.round(amount));

/** A number of bytes to two or three digits in its largest fitting unit: `1.5 GiB`, `64 MiB`, `12 bytes`. */
export function bytesInWords(bytes: number): string {
  const [unit, size] = SIZES.find(([, unitBytes]) => bytes >= unitBytes) ?? (['bytes', 1] as const);
  const amount = bytes / size;
  return `${Number(amount.toFixed(amount < 10 ? 1 : 0))} ${unit}`;
}

/** An instant, epoch milliseconds, as ISO 8601 in UTC, to the second where nothing is lost by it: `2026-03-01T06:30:00Z`. */
export const instantInWords = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z');
