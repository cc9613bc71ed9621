import { limits, type RollupSensor } from '@floorwatch/contracts';

/** `metric of device`: how sentences for the operator name a sensor. */
export const nameOf = (sensor: RollupSensor): string => `${sensor.metric} of ${sensor.device}`;

/** A value with its unit, rounded as {@link roundTo} does. Example: `quantity({ …, unit: '°C' }, 91.2345, 11.2)` is `91.2 °C`. */
export function quantity(sensor: RollupSensor, value: number, resolution: number): string {
  const number = roundTo(value, resolution);
  return sensor.unit === undefined ? `${number}` : `${number} ${sensor.unit}`;
}

/**
 * `value` with as many decimals as show a difference of `resolution` in three digits; with six significant digits where that would
 * be a wall of digits or makes no sense.
 */
export function roundTo(value: number, resolution: number): number {
  const step = Math.abs(resolution);
  if (Math.abs(value) >= 1e15 || !(step >= 1e-10 && step < Infinity)) return Number(value.toPrecision(6));
  return Number(value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(step)))));
}

/** `sentence`, cut at the length that records allow. */
export function clip(sentence: string): string {
  if (sentence.length <= limits.explanationLengthMax) return sentence;
  // The cut must not leave the first half of a surrogate pair.
  const start = sentence.slice(0, limits.explanationLengthMax - 1).replace(/[\uD800-\uDBFF]$/, '');
  return `${start}…`;
}
