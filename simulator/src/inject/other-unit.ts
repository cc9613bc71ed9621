/** How a value reads in another unit of the same quantity. */
interface OtherUnit {
  readonly unit: string;
  readonly factor: number;
  readonly offset: number;
}

/** What a device may be switched to by mistake, by the unit that it should send. */
const OTHER_UNITS: Readonly<Record<string, OtherUnit>> = {
  '°C': { unit: '°F', factor: 1.8, offset: 32 },
  bar: { unit: 'kPa', factor: 100, offset: 0 },
  'L/min': { unit: 'm³/h', factor: 0.06, offset: 0 },
  'mm/s': { unit: 'in/s', factor: 1 / 25.4, offset: 0 },
  A: { unit: 'mA', factor: 1_000, offset: 0 },
};

/** Whether there is another unit for what is measured in `unit`. */
export const hasOtherUnit = (unit: string): boolean => Object.hasOwn(OTHER_UNITS, unit);

/** `value` as a device shows it that was switched to the other unit, in six significant digits. Unchanged if there is none. */
export function inOtherUnit(unit: string, value: number): { readonly value: number; readonly unit: string } {
  const other = OTHER_UNITS[unit];
  if (other === undefined) return { value, unit };
  return { value: Number((value * other.factor + other.offset).toPrecision(6)), unit: other.unit };
}
