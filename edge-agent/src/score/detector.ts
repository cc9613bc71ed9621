import type { RollupSensor, SensorName, Severity } from '@floorwatch/contracts';

import type { LearnedState } from '../stats/learned-state.ts';
import type { ReadingInHand } from '../stats/reading-in-hand.ts';

/**
 * What a detector makes of a reading.
 * - `off`: the detector does not watch this sensor.
 * - `warming-up`: it has seen too little to judge.
 * - `undecided`: it cannot judge this reading, or the reading is not remarkable enough to open an episode and not normal enough to
 *   close one.
 * - `normal`: enough of these in a row close an episode.
 * - `anomalous`: opens an episode or belongs to the open one.
 */
export type Judgement = (typeof JUDGEMENTS)[number];

/** A snapshot names a judgement by its place here: new ones go to the end. */
export const JUDGEMENTS = ['off', 'warming-up', 'undecided', 'normal', 'anomalous'] as const;

/**
 * A detector's judgement of one reading. The engine has one and passes it again and again, so that judging allocates nothing; the
 * fields below `judgement` count only when it is `anomalous`, and must then all be set.
 */
export interface Verdict {
  judgement: Judgement;
  /** Decades of improbability (−log10 p), 0 to `SCORE_MAX`. */
  score: number;
  severity: Severity;
  /** What is wrong, a term such as `above-limit`. */
  anomalyKind: string;
  /** What would be normal, in the sensor's unit; null: no bound on that side. */
  low: number | null;
  high: number | null;
}

/** Calls a reading anomalous for something else than its value: there is no band that it should have been in. */
export function flagWithoutBand(verdict: Verdict, anomalyKind: string, severity: Severity, score: number): void {
  verdict.judgement = 'anomalous';
  verdict.score = score;
  verdict.severity = severity;
  verdict.anomalyKind = anomalyKind;
  verdict.low = null;
  verdict.high = null;
}

/**
 * One way of judging readings, with its state for all sensors in flat arrays by slot: slots are small whole numbers, counted up from
 * 0 as sensors appear. For every reading in order the engine calls `judge`, then, if an episode opens or gets worse, `explain`, and
 * at last `learn`: a detector never judges a reading that it has already learned. Pure: time is the reading's event time.
 */
export interface Detector {
  /** A term such as `z-score`; part of every episode's id. */
  readonly name: string;
  /** Counts up whenever the detector would decide differently on the same readings. */
  readonly version: number;
  /** Normal readings in a row that close an episode. */
  readonly closeAfterReadings: number;
  /** What it makes of a sensor before it was asked about any reading; `warming-up` unless said otherwise. */
  readonly judgementAtFirst?: Judgement;
  /** What it has learned; without it, the detector learns nothing. */
  readonly state?: LearnedState | undefined;
  /** Makes room for one more sensor, whose slot is the next. */
  addSensor(slot: number, sensor: SensorName): void;
  /** Sets `verdict` for a reading that is not older than the sensor's newest. */
  judge(slot: number, reading: ReadingInHand, verdict: Verdict): void;
  /** One sentence for the operator about the reading just judged anomalous; what is too long is cut by the caller. */
  explain(sensor: RollupSensor, slot: number, value: number, verdict: Readonly<Verdict>): string;
  /** Takes the reading in, knowing whether this detector found it anomalous. Absent: it learns while it judges, or not at all. */
  learn?(slot: number, reading: ReadingInHand, anomalous: boolean): void;
}
