/** Distance of `value` from the mean of `before`, in its standard deviations: what a plain detector makes of it. */
export function zOf(value: number, before: readonly number[]): number {
  const mean = before.reduce((sum, x) => sum + x, 0) / before.length;
  const variance = before.reduce((sum, x) => sum + (x - mean) ** 2, 0) / before.length;
  return (value - mean) / Math.sqrt(variance);
}
