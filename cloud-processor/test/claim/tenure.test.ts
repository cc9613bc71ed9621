import { describe, expect, it } from 'vitest';

import { Tenure } from '../../src/claim/tenure.ts';
import { processorLimits } from '../../src/limits.ts';

const { claimStaleMs: STALE, claimMarginMs: MARGIN } = processorLimits;

/** A tenure of two partitions, both renewed at 1,000 s by both clocks. */
function renewed() {
  const clocks = { monotonic: 1_000_000, wall: 1_000_000 };
  const tenure = new Tenure(2, () => ({ ...clocks }));
  for (const partition of [3, 4]) tenure.renewed(partition, tenure.now());
  return { tenure, clocks };
}

describe('a claim', () => {
  it.each(['monotonic', 'wall'] as const)(
    'ends a fixed time after its renewal was sent, by the %s clock alone',
    (clock) => {
      const { tenure, clocks } = renewed();
      expect(tenure).toMatchObject({ msLeft: STALE, mayAct: true });
      for (const [after, msLeft, mayAct] of [
        [STALE - MARGIN, MARGIN, true],
        [STALE - MARGIN + 1, MARGIN - 1, false],
        [STALE, 0, false],
        [STALE + 1, -1, false],
      ] as const) {
        clocks[clock] = 1_000_000 + after;
        expect(tenure).toMatchObject({ msLeft, mayAct, taken: true });
      }
    },
  );

  it('is counted from when its renewal was sent, not from when that was answered', () => {
    const { tenure, clocks } = renewed();
    const sentAt = tenure.now();
    clocks.monotonic += 5_000;
    for (const partition of [3, 4]) tenure.renewed(partition, sentAt);
    expect(tenure.msLeft).toBe(STALE - 5_000);
  });

  it('of all partitions ends with the first of them', () => {
    const { tenure, clocks } = renewed();
    clocks.monotonic += 9_000;
    tenure.renewed(3, tenure.now());
    expect(tenure.msLeft).toBe(STALE - 9_000);
    tenure.ended(4);
    expect(tenure).toMatchObject({ msLeft: 0, mayAct: false, taken: false });
  });

  it('lasts longer if a clock is set back, but not by the other one', () => {
    const { tenure, clocks } = renewed();
    clocks.wall -= 3_600_000;
    clocks.monotonic += STALE;
    expect(tenure.msLeft).toBe(0);
  });

  it('that was never taken holds nothing', () => {
    expect(new Tenure(1)).toMatchObject({ msLeft: 0, mayAct: false, taken: false });
  });
});
