/** 10^i, each exact: 10^22 is the largest power of ten that a double holds. */
export const POWERS: readonly number[] = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** 2^27 + 1, which splits a double into two halves of 26 bits (Veltkamp 1968). */
const SPLITTER = 134_217_729;

const SAFE = 2 ** 53;

/**
 * The double nearest to (high · 10^lowDigits + low) · 10^−scale, or NaN where this way can't tell which one that is: for scales beyond 22
 * and, once in millions, for a number that lies almost exactly in the middle between two doubles.
 *
 * Below 2^53 both the digits and the power are exact, so one operation rounds once and correctly (Clinger 1990, "How to read floating point
 * numbers accurately"). With more digits they are the sum of two doubles, and the quotient of the larger one is corrected by the exact
 * remainder of that division (Dekker 1971, "A floating-point technique for extending the available precision"). The corrected quotient is
 * off by less than 2^−90 of the number, and rounds correctly unless that reaches the middle between two doubles.
 *
 * @param high a whole number below 10^9.
 * @param low the digits behind it, a whole number below 10^lowDigits.
 * @param lowDigits 0 to 9.
 */
export function decimal(high: number, low: number, lowDigits: number, scale: number): number {
  if (scale > 22 || scale < -22) return Number.NaN;
  // Exact: 10^9 has 21 significant bits, and `high` less than 30.
  const shifted = high * POWERS[lowDigits]!;
  const digits = shifted + low;
  if (digits < SAFE) return scale >= 0 ? digits / POWERS[scale]! : digits * POWERS[-scale]!;
  if (scale < 0) return Number.NaN;
  const power = POWERS[scale]!;
  const quotient = digits / power;
  const remainder = digits - quotient * power - productError(quotient, power);
  const correction = (remainder + (low - (digits - shifted))) / power;
  const sum = quotient + correction;
  const rest = correction - (sum - quotient);
  return sum + rest * (1 + 1e-9) === sum ? sum : Number.NaN;
}

/** a · b − fl(a · b), exactly. */
function productError(a: number, b: number): number {
  const aHigh = a * SPLITTER - (a * SPLITTER - a);
  const bHigh = b * SPLITTER - (b * SPLITTER - b);
  const aLow = a - aHigh;
  const bLow = b - bHigh;
  return aLow * bLow - (a * b - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}
