/** Significant digits of a value: enough to tell readings apart, few enough to be read at a glance. */
const DIGITS = 5;

const plain = new Map<string, Intl.NumberFormat>();
const scientific = new Intl.NumberFormat('en', { notation: 'scientific', maximumSignificantDigits: 4 });
const whole = new Intl.NumberFormat('en');

/**
 * A value of a sensor with that many significant digits; a dash if there is none. What stands before the point is never rounded
 * away: a counter of 749,216 is not 749,200.
 */
export function formatValue(value: number | null | undefined, digits = DIGITS): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (isExtreme(size)) return withMinus(scientific.format(value));
  const before = size < 1 ? 0 : Math.floor(Math.log10(size)) + 1;
  return withMinus(plainFormat('maximumSignificantDigits', Math.max(digits, before)).format(value));
}

/**
 * Values that belong together, such as the bounds of a band, rounded alike: to a tenth of the first digit of `spread`, which is how
 * far they lie apart or how much they vary. 4.76215 and 5.11128 are shown as 4.76 and 5.11.
 *
 * @param decimals more decimals than that, where they are needed to tell a value from a bound.
 */
export function formatAlike(values: readonly number[], spread: number, decimals = decimalsOf(spread)): string[] {
  const fits = spread > 1e-9 && decimals <= 12 && values.every((value) => !isExtreme(Math.abs(value)));
  if (!fits) return values.map((value) => formatValue(value));
  const format = plainFormat('maximumFractionDigits', decimals);
  return values.map((value) => withMinus(format.format(value)));
}

const decimalsOf = (spread: number): number => Math.max(0, 1 - Math.floor(Math.log10(spread)));

/** Whether a number of this size is written with a power of ten. */
const isExtreme = (size: number): boolean => size !== 0 && (size < 1e-4 || size >= 1e7);

const withMinus = (text: string): string => text.replace(/^-0$/, '0').replace('-', '−');

function plainFormat(kind: 'maximumSignificantDigits' | 'maximumFractionDigits', digits: number): Intl.NumberFormat {
  const key = `${kind} ${digits}`;
  const known = plain.get(key);
  if (known !== undefined) return known;
  const made = new Intl.NumberFormat('en', { [kind]: digits });
  plain.set(key, made);
  return made;
}

/** A value with its unit. */
export function formatQuantity(
  value: number | null | undefined,
  unit: string | null | undefined,
  digits = DIGITS,
): string {
  return withUnit(formatValue(value, digits), unit);
}

const withUnit = (text: string, unit: string | null | undefined): string =>
  unit === null || unit === undefined || text === '–' ? text : `${text}\u202f${unit}`;

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

/**
 * What would have been normal, to as many digits as its width makes worth reading.
 *
 * @param value what was read instead; it is never rounded into the band.
 */
export function formatExpected(
  { low, high }: { readonly low: number | null; readonly high: number | null },
  unit: string | null | undefined,
  value?: number,
): string {
  if (low !== null && high !== null) {
    const width = high - low;
    const outside = value !== undefined && (value < low || value > high);
    let [from = '', to = ''] = formatAlike([low, high], width);
    for (let more = 0; outside && more < 4 && isBetween(value, from, to); more++) {
      [from = '', to = ''] = formatAlike([low, high], width, decimalsOf(width) + more + 1);
    }
    return `${from} to ${withUnit(to, unit)}`;
  }
  if (high !== null) return `at most ${formatQuantity(high, unit)}`;
  if (low !== null) return `at least ${formatQuantity(low, unit)}`;
  return 'no fixed band';
}

const isBetween = (value: number, from: string, to: string): boolean =>
  value >= numberOf(from) && value <= numberOf(to);

const numberOf = (text: string): number => Number(text.replaceAll(',', '').replace('−', '-'));

/** A mean and how much the values vary about it, rounded alike. Undefined while too few readings have come to know them. */
export function formatMeanSd(
  mean: number | null | undefined,
  sd: number | null | undefined,
  unit: string | null | undefined,
): readonly [mean: string, sd: string] | undefined {
  if (mean === null || mean === undefined || sd === null || sd === undefined) return undefined;
  const [shown = ''] = formatAlike([mean], sd);
  return [withUnit(shown, unit), withUnit(formatValue(sd, 2), unit)];
}
