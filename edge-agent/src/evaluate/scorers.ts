import { AdaptiveDetector } from '../score/adaptive/adaptive-detector.ts';
import { IntervalDetector } from '../score/adaptive/interval-detector.ts';
import { StuckDetector } from '../score/adaptive/stuck-detector.ts';
import type { Verdict } from '../score/detector.ts';
import { NoiseDetector } from '../score/noise-detector.ts';
import { normalTailScore } from '../score/normal-tail.ts';
import { engineConfigSchema } from '../sensor-engine-config.ts';
import { CountWindow } from '../stats/count-window.ts';
import { ReadingInHand } from '../stats/reading-in-hand.ts';
import type { LabelledSeries } from './labelled-series.ts';

/** Writes the anomaly score of every reading of a series, by a detector that has seen nothing before; 0 for a missing reading. */
export type Scorer = (series: LabelledSeries, scores: Float64Array) => void;

const SENSOR = { device: 'series', metric: 'value' };

/** The shipped detectors of readings that need no configuration: the adaptive one, stuck, silent and noise. */
export const adaptive: Scorer = ({ times, values }, scores) => {
  const detector = new AdaptiveDetector();
  const stuck = new StuckDetector();
  const interval = new IntervalDetector();
  const noise = new NoiseDetector(engineConfigSchema.parse({}).noise);
  const reading = new ReadingInHand();
  const verdict: Verdict = { judgement: 'off', score: 0, severity: 'warning', anomalyKind: '', low: null, high: null };
  noise.addSensor(0, SENSOR);
  for (let index = 0; index < values.length; index += 1) {
    if (Number.isNaN(values[index])) continue;
    noise.judge(0, reading.set(times[index]!, values[index]!), verdict);
    scores[index] = Math.max(
      verdict.judgement === 'anomalous' ? verdict.score : 0,
      detector.accept(0, times, values, index),
      stuck.accept(0, values, index),
      interval.accept(0, times, index),
    );
  }
};

const Z_SCORE_READINGS = 300;

/** What many systems do, for comparison: standard deviations from the mean of the last 300 readings, as decades of a normal tail. */
export const zScore: Scorer = ({ times, values }, scores) => {
  const window = new CountWindow(Z_SCORE_READINGS);
  const reading = new ReadingInHand();
  window.reserve(1);
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index]!;
    if (Number.isNaN(value)) continue;
    const variance = window.count(0) < Z_SCORE_READINGS ? 0 : window.variance(0);
    if (variance > 0) scores[index] = normalTailScore(window.deviation(0, value) / Math.sqrt(variance));
    window.add(0, reading.set(times[index]!, value));
  }
};
