/**
 * What a sensor usually shows at this hour of the (UTC) day: one moving mean per hour, read between the middles of two hours. It
 * learns a fixed part of the distance per hour of event time, however many readings that hour has, so a day moves it by a third.
 *
 * The state is {@link PROFILE_FIELDS} consecutive numbers of the sensor's row, beginning at `o`: 24 means and 24 weights, where a
 * weight is the hours of event time that the mean was learned from.
 */
const HOURS = 24;
const WEIGHTS = HOURS;
export const PROFILE_FIELDS = 2 * HOURS;

const HOUR_MS = 3_600_000;
const DAY_MS = HOURS * HOUR_MS;

/** Part of the distance that an hour of readings learns. */
const LEARNED_PER_HOUR = 0.4;

/** Hours since the last midnight, 0 to 24. `%` of large numbers costs ten times as much. */
const hourOfDay = (timeMs: number): number => (timeMs - Math.floor(timeMs / DAY_MS) * DAY_MS) / HOUR_MS;

/**
 * Writes to `features[feature]` the value at `values[index]` minus the profile at the time `times[index]`, or NaN while one of the two
 * hours was never seen.
 */
export function measureOffProfile(
  s: Float64Array,
  o: number,
  times: Float64Array,
  values: Float64Array,
  index: number,
  features: Float64Array,
  feature: number,
): void {
  let position = hourOfDay(times[index]!) - 0.5;
  if (position < 0) position += HOURS;
  const hour = Math.floor(position);
  const share = position - hour;
  const before = o + hour;
  const after = hour === HOURS - 1 ? o : before + 1;
  const known = s[before + WEIGHTS] !== 0 && s[after + WEIGHTS] !== 0;
  features[feature] = known ? values[index]! - (s[before]! * (1 - share) + s[after]! * share) : Number.NaN;
}

/** Learns the value at `values[index]`, measured at `times[index]`; the reading before it has its time at `s[previous]`. */
export function learnProfile(
  s: Float64Array,
  o: number,
  times: Float64Array,
  values: Float64Array,
  index: number,
  previous: number,
): void {
  const timeMs = times[index]!;
  const sinceMs = timeMs - s[previous]!;
  if (sinceMs <= 0) return;
  const hours = sinceMs < HOUR_MS ? sinceMs / HOUR_MS : 1;
  const hour = o + Math.floor(hourOfDay(timeMs));
  const weight = s[hour + WEIGHTS]! + hours;
  const alpha = weight < 1 + hours ? Math.max(LEARNED_PER_HOUR * hours, hours / weight) : LEARNED_PER_HOUR * hours;
  s[hour] = s[hour]! + alpha * (values[index]! - s[hour]!);
  s[hour + WEIGHTS] = weight;
}
