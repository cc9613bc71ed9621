import { expect, it } from 'vitest';

import { normalTailDecades, studentTailDecades } from '../../../src/score/adaptive/tail-probability.ts';
import { normalTailScore } from '../../../src/score/normal-tail.ts';

/** −log10 of the upper tail of Student's t by Simpson's rule over its density, up to a point behind which nothing is left. */
function studentTailByIntegration(t: number, freedom: number): number {
  const density = (x: number): number => (1 + (x * x) / freedom) ** (-(freedom + 1) / 2);
  const integral = (from: number, to: number): number => {
    const steps = 200_000;
    const width = (to - from) / steps;
    let sum = density(from) + density(to);
    for (let step = 1; step < steps; step += 1) sum += density(from + step * width) * (step % 2 === 1 ? 4 : 2);
    return (sum * width) / 3;
  };
  return -Math.log10(integral(t, 500) / (2 * integral(0, 500)));
}

it('the normal tail agrees with the exact one', () => {
  for (let z = 0; z <= 12; z += 0.25) {
    const oneSided = normalTailScore(z) + Math.log10(2);
    expect(Math.abs(normalTailDecades(z) - oneSided)).toBeLessThan(0.02);
  }
});

it.each([8, 10, 20, 100])("the tail of Student's t with %i degrees of freedom agrees with its integral", (freedom) => {
  const points = [0.1, 0.5, 1, 2, 4, 8].map((t) => ({ t, exact: studentTailByIntegration(t, freedom) }));
  const errors = points.filter(({ exact }) => exact < 6).map(({ t, exact }) => studentTailDecades(t, freedom) - exact);
  expect(errors.length).toBeGreaterThan(3);
  expect(Math.max(...errors.map(Math.abs))).toBeLessThan(0.04);
});
