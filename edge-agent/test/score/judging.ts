import type { Detector, Verdict } from '../../src/score/detector.ts';
import { ReadingInHand } from '../../src/stats/reading-in-hand.ts';

export const blankVerdict = (): Verdict => ({
  judgement: 'off',
  score: 0,
  severity: 'warning',
  anomalyKind: '',
  low: null,
  high: null,
});

/** What the detector says of a value; only the judgement unless it is anomalous. */
export function judge(detector: Detector, value: number, slot = 0): Partial<Verdict> {
  const verdict = blankVerdict();
  detector.judge(slot, new ReadingInHand().set(0, value), verdict);
  return verdict.judgement === 'anomalous' ? verdict : { judgement: verdict.judgement };
}

/** The detector's sentence about a value that it finds anomalous. */
export function explain(detector: Detector, value: number, unit?: string): string {
  const verdict = blankVerdict();
  detector.judge(0, new ReadingInHand().set(0, value), verdict);
  const sensor = { device: 'press-3', metric: 'temperature', ...(unit !== undefined && { unit }) };
  return detector.explain(sensor, 0, value, verdict);
}
