import { SCORE_MAX } from '@floorwatch/contracts';

/** Where the series and the continued fraction are both quick and exact. */
const CROSSOVER = 2;
const FRACTION_DEPTH = 60;

/**
 * The improbability of a normal value at least |z| standard deviations from its mean, on either side, in decades: −log10 p, between
 * 0 and {@link SCORE_MAX}. Example: 5 standard deviations have p = 5.7e-7, which is 6.24 decades.
 *
 * p = erfc(|z| / √2) is below the smallest number from 38 standard deviations on, and 1 − erf loses all its digits before. So the
 * logarithm is computed directly: by Kummer's series for erf near the centre (Abramowitz and Stegun 7.1.6), by the continued
 * fraction of erfc beyond (7.1.14).
 */
export function normalTailScore(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const decades = x < CROSSOVER ? -Math.log10(1 - errorFunction(x)) : -logErrorFunctionComplement(x) / Math.LN10;
  return Math.min(SCORE_MAX, decades);
}

/** erf(x) for small x: 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (2n+1)!!, all terms positive. */
function errorFunction(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** ln erfc(x) for x away from 0: e^(−x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + 2/(x + …))))). */
function logErrorFunctionComplement(x: number): number {
  let fraction = x;
  for (let k = FRACTION_DEPTH; k > 0; k--) fraction = x + k / 2 / fraction;
  return -x * x - Math.log(fraction * Math.sqrt(Math.PI));
}
