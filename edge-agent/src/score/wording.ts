import { limits, type RollupSensor } from '@floorwatch/contracts';

/** `metric of device`: how sentences for the operator name a sensor. */
export const nameOf = (sensor: RollupSensor): string => `${sensor.metric} of ${sensor.device}`;

/** A value with its unit, rounded as {@link roundTo} does. Example: `quantity({ …, unit: '°C' }, 91.2345, 11.2)` is `91.2 °C`. */
export function quantity(sensor: RollupSensor, value: number, resolution: number): string {
  const number = roundTo(value, resolution);
  return sensor.unit === undefined ? `${number}` : `${number} ${sensor.unit}`;
}

/**
 * `value` with as many decimals as show a difference of `resolution` in two digits; with six significant digits where that would
 * be a wall of digits or makes no sense.
 */
function roundTo(value: number, resolution: number): number {
  const step = Math.abs(resolution);
  if (Math.abs(value) >= 1e15 || !(step >= 1e-10 && step < Infinity)) return Number(value.toPrecision(6));
  return Number(value.toFixed(Math.max(0, 1 - Math.floor(Math.log10(step)))));
}

/** A band in words, such as `4.57 to 4.93 bar`, and how values are shown beside it. */
export interface BandWords {
  readonly band: string;
  /** A value with its unit, to one digit more than the bounds. */
  readonly shown: (value: number) => string;
}

/**
 * The bounds of a band to as many digits as its width makes worth reading, and to more where a value outside of it would else seem to be
 * within.
 */
export function bandInWords(sensor: RollupSensor, value: number, low: number, high: number): BandWords {
  const isOutside = value < low || value > high;
  let resolution = high - low || Math.abs(value) / 100;
  const seemsInside = (): boolean =>
    roundTo(value, resolution / 10) >= roundTo(low, resolution) &&
    roundTo(value, resolution / 10) <= roundTo(high, resolution);
  for (let more = 0; isOutside && more < 4 && seemsInside(); more++) resolution /= 10;
  return {
    band: `${roundTo(low, resolution)} to ${quantity(sensor, high, resolution)}`,
    shown: (shown) => quantity(sensor, shown, resolution / 10),
  };
}

/** `sentence`, cut at the length that records allow. */
export function clip(sentence: string): string {
  if (sentence.length <= limits.explanationLengthMax) return sentence;
  // The cut must not leave the first half of a surrogate pair.
  const start = sentence.slice(0, limits.explanationLengthMax - 1).replace(/[\uD800-\uDBFF]$/, '');
  return `${start}…`;
}
