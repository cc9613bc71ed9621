/** Significant digits of a value: enough to tell readings apart, few enough to be read at a glance. */
const DIGITS = 5;

const plain = new Map<number, Intl.NumberFormat>();
const scientific = new Intl.NumberFormat('en', { notation: 'scientific', maximumSignificantDigits: 4 });
const whole = new Intl.NumberFormat('en');

/** A value of a sensor with that many significant digits; a dash if there is none. */
export function formatValue(value: number | null | undefined, digits = DIGITS): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const format = size !== 0 && (size < 1e-4 || size >= 1e7) ? scientific : plainFormat(digits);
  return format.format(value).replace('-', '−');
}

function plainFormat(digits: number): Intl.NumberFormat {
  const known = plain.get(digits);
  if (known !== undefined) return known;
  const made = new Intl.NumberFormat('en', { maximumSignificantDigits: digits });
  plain.set(digits, made);
  return made;
}

/** A value with its unit. */
export function formatQuantity(
  value: number | null | undefined,
  unit: string | null | undefined,
  digits = DIGITS,
): string {
  const text = formatValue(value, digits);
  return unit === null || unit === undefined || text === '–' ? text : `${text}\u202f${unit}`;
}

export const formatCount = (count: number): string => whole.format(count);

/** A length of time in its two largest units. */
export function formatDuration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1_000));
  if (s < 60) return `${s} s`;
  if (s < 3_600) return two(s, 60, 'min', 1, 's');
  if (s < 86_400) return two(s, 3_600, 'h', 60, 'min');
  return two(s, 86_400, 'd', 3_600, 'h');
}

function two(s: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((s % large) / small);
  return `${Math.floor(s / large)} ${largeName}${rest === 0 ? '' : ` ${rest} ${smallName}`}`;
}

const pad = (n: number): string => String(n).padStart(2, '0');

/** The time of day in the viewer's zone, to the second. */
export function formatTime(ms: number): string {
  const d = new Date(ms);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

/** The date in the viewer's zone, as ISO 8601 writes it. */
export function formatDate(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

/** Date and time, without the date if it is the day of `now`. */
export function formatInstant(ms: number, now: number): string {
  const date = formatDate(ms);
  return date === formatDate(now) ? formatTime(ms) : `${date} ${formatTime(ms)}`;
}

/** The viewer's time zone, as in `Europe/Berlin, UTC+1`. */
export function formatZone(now: number): string {
  const minutes = -new Date(now).getTimezoneOffset();
  const rest = Math.abs(minutes) % 60;
  const offset = `UTC${minutes < 0 ? '−' : '+'}${Math.floor(Math.abs(minutes) / 60)}${rest === 0 ? '' : `:${pad(rest)}`}`;
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  return timeZone === 'UTC' ? 'UTC' : `${timeZone}, ${offset}`;
}

/** A term of the programs' own, such as `above-limit`, as a person reads it. */
export function formatTerm(term: string): string {
  const words = term.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What would have been normal. */
export function formatExpected(
  { low, high }: { readonly low: number | null; readonly high: number | null },
  unit: string | undefined,
): string {
  if (low !== null && high !== null) return `${formatValue(low)} to ${formatQuantity(high, unit)}`;
  if (high !== null) return `at most ${formatQuantity(high, unit)}`;
  if (low !== null) return `at least ${formatQuantity(low, unit)}`;
  return 'no fixed band';
}
