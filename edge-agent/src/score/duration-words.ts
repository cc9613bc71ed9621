const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** A length of time to two digits in its largest fitting unit, such as `2.5 h`. */
export function durationInWords(ms: number): string {
  const [unit, size] = UNITS.find(([, unitMs]) => ms >= unitMs) ?? (['ms', 1] as const);
  return `${Number((ms / size).toPrecision(2))} ${unit}`;
}
