const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** A length of time to two digits in its largest fitting unit, such as `2.5 h`. */
export function durationInWords(ms: number): string {
  const rounded = Number(ms.toPrecision(2));
  const [unit, size] = UNITS.find(([, unitMs]) => rounded >= unitMs) ?? (['ms', 1] as const);
  return `${Number((rounded / size).toPrecision(2))} ${unit}`;
}
