const LN_10 = Math.LN10;
const HALF_LN_2_PI = 0.918_938_533_204_672_7;

/** −log10 of the upper tail of the standard normal at z ≥ 0 (Abramowitz and Stegun 1964, 26.2.17), within 0.02 decades up to z = 12. */
export function normalTailDecades(z: number): number {
  const t = 1 / (1 + 0.231_641_9 * z);
  const series =
    t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
  return (0.5 * z * z + HALF_LN_2_PI) / LN_10 - Math.log10(series);
}

/**
 * −log10 of the upper tail of Student's t with `freedom` degrees of freedom at t ≥ 0, through Wallace's transformation to a normal
 * deviate (Annals of Mathematical Statistics 30, 1959). Within 0.04 decades of the exact value up to six of them, for 8 and more
 * degrees of freedom.
 */
export function studentTailDecades(t: number, freedom: number): number {
  const z = Math.sqrt(freedom * Math.log1p((t * t) / freedom)) * (1 - 2 / (8 * freedom + 3));
  return normalTailDecades(z);
}
