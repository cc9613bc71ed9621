import { minutes, type RollupSensor, type SensorName } from '@floorwatch/contracts';

import { LearnedState } from '../../stats/learned-state.ts';
import type { ReadingInHand } from '../../stats/reading-in-hand.ts';
import { RowTable } from '../../stats/row-table.ts';
import type { SensorRows } from '../../stats/sensor-rows.ts';
import type { Detector, Verdict } from '../detector.ts';
import { findRule } from '../sensor-pattern.ts';
import { bandInWords, nameOf, quantity } from '../wording.ts';
import type { AdaptiveConfig, AdaptiveRule } from './adaptive-config.ts';
import { AdaptiveDetector, isOfChange, NOT_SCORED, WARMING_UP } from './adaptive-detector.ts';
import {
  ADAPTIVE_VERSION,
  type AdaptiveChannel,
  CADENCE_DECADES,
  CADENCE_MINUTES,
  CHANNELS,
  FIRST_DAY_MS,
  FULL_HISTORY_READINGS,
} from './parameters.ts';

// One sensor's row: the time of its first reading, and how many there were.
const FIRST_AT = 0;
const COUNT = 1;
const FIELDS = 2;

/** A reading whose score before the gate is below this part of the warning threshold is normal again. */
const NORMAL_SHARE = 0.5;

type Reason = (feature: number, shown: (value: number) => string) => string;

/** What is unusual, in words, by the channel that contributed most and what it judged. */
const REASONS: Record<AdaptiveChannel, Reason> = {
  'new-value': () => 'a value that it has never shown before',
  'new-change': (ratio) => `a change of ${times(ratio)} the usual size, which it has never shown before`,
  'new-for-hour': (off, shown) => `${shown(Math.abs(off))} ${side(off)} what is usual at this hour, as never before`,
  'jump-up': (jump, shown) => `a jump of ${shown(jump)} above its last readings, larger than its jumps usually are`,
  'jump-down': (jump, shown) => `a jump of ${shown(jump)} below its last readings, larger than its jumps usually are`,
  'fast-change': (ratio) => `a change ${times(ratio)} as large as usual`,
  'off-average': (off, shown) =>
    `${shown(Math.abs(off))} ${side(off)} its short moving average, further than it usually gets`,
  pulse: (height, shown) =>
    `back from a pulse of ${shown(Math.abs(height))} ${height > 0 ? 'upwards' : 'downwards'}, larger than its pulses usually are`,
};

/** The adaptive detector as one of the engine's detectors: scores become judgements, kinds and sentences. */
export class AdaptiveJudge implements Detector {
  readonly name = 'adaptive';
  readonly version = ADAPTIVE_VERSION;
  readonly closeAfterReadings: number;
  readonly #configured: readonly AdaptiveRule[];
  /** By slot; undefined where sensors are not judged. */
  readonly #rules: (AdaptiveRule | undefined)[] = [];
  readonly #detector: AdaptiveDetector;
  readonly #history: RowTable;
  readonly state: LearnedState;

  constructor(config: AdaptiveConfig, rows?: SensorRows) {
    this.#detector = new AdaptiveDetector(rows);
    this.#history = new RowTable(FIELDS, rows);
    this.state = new LearnedState(
      { version: 3, basis: {} },
      { rows: this.#detector.table, history: this.#history },
      (slot) => this.#rules[slot] !== undefined,
    );
    this.closeAfterReadings = config.closeAfterReadings;
    this.#configured = config.enabled ? config.rules : [];
  }

  addSensor(slot: number, sensor: SensorName): void {
    const rule = findRule(this.#configured, sensor);
    this.#rules[slot] = rule?.enabled === true ? rule : undefined;
    this.#history.clear(slot);
    this.#detector.forget(slot);
  }

  judge(slot: number, { times, values }: ReadingInHand, verdict: Verdict): void {
    const rule = this.#rules[slot];
    if (rule === undefined) {
      verdict.judgement = 'off';
      return;
    }
    const o = this.#history.rowOf(slot);
    const history = this.#history.state;
    if (history[o + COUNT] === 0) history[o + FIRST_AT] = times[0]!;
    history[o + COUNT] = history[o + COUNT]! + 1;
    const score = this.#detector.accept(slot, times, values, 0);
    if (score === WARMING_UP) verdict.judgement = 'warming-up';
    else if (score === NOT_SCORED) verdict.judgement = 'undecided';
    else if (score < rule.warningScore || score < this.#warningScore(slot, times[0]!, rule)) {
      verdict.judgement = this.#detector.ungated < NORMAL_SHARE * rule.warningScore ? 'normal' : 'undecided';
    } else this.#flag(slot, score, rule, verdict);
  }

  /** Whether the sensor is judged at all. */
  watches(slot: number): boolean {
    return this.#rules[slot] !== undefined;
  }

  /** Event time of the sensor's first reading that is remembered, epoch milliseconds; −Infinity: not known. */
  firstAt(slot: number): number {
    const o = this.#history.rowOf(slot);
    return this.#history.state[o + COUNT] === 0 ? -Infinity : this.#history.state[o + FIRST_AT]!;
  }

  /** Whether the sensor's history is long enough that its scores count in full. */
  hasFullHistory(slot: number): boolean {
    return (
      this.#rules[slot] !== undefined &&
      this.#history.state[this.#history.rowOf(slot) + COUNT]! >= FULL_HISTORY_READINGS
    );
  }

  /** See {@link CADENCE_DECADES} and {@link FIRST_DAY_MS}. */
  #warningScore(slot: number, at: number, { warningScore, criticalScore }: AdaptiveRule): number {
    const o = this.#history.rowOf(slot);
    const history = this.#history.state;
    const knownMs = at - history[o + FIRST_AT]!;
    if (knownMs < FIRST_DAY_MS) return criticalScore + Math.log10(FIRST_DAY_MS / knownMs);
    const interval = knownMs / (history[o + COUNT]! - 1);
    const tenfolds = Math.log10(minutes(CADENCE_MINUTES) / interval);
    return Math.min(criticalScore, warningScore + CADENCE_DECADES * Math.max(0, tenfolds));
  }

  #flag(slot: number, score: number, rule: AdaptiveRule, verdict: Verdict): void {
    const band = this.#detector.expected(slot);
    verdict.judgement = 'anomalous';
    verdict.score = score;
    verdict.severity = score >= rule.criticalScore ? 'critical' : 'warning';
    verdict.anomalyKind = this.#detector.leadingChannel() ?? CHANNELS[0];
    verdict.low = band?.low ?? null;
    verdict.high = band?.high ?? null;
  }

  explain(sensor: RollupSensor, slot: number, value: number, verdict: Readonly<Verdict>): string {
    const { low, high } = verdict;
    const words = low === null || high === null ? undefined : bandInWords(sensor, value, low, high);
    const shown = words?.shown ?? ((number: number): string => quantity(sensor, number, Math.abs(value) / 100));
    const kind = verdict.anomalyKind as AdaptiveChannel;
    const reason = REASONS[kind](this.#detector.features[CHANNELS.indexOf(kind)]!, shown);
    // A value within its band is told for something else than its level.
    const isWithin = low !== null && high !== null && value >= low && value <= high;
    const expected = words === undefined || isWithin ? '' : `; ${words.band} was expected`;
    const equal = isOfChange(CHANNELS.indexOf(kind)) ? this.#detector.equalBefore(slot) : 0;
    const held = equal === 0 ? '' : `, after ${equal} equal values in a row`;
    return `${nameOf(sensor)} is ${shown(value)}, ${reason}${held}${expected}.`;
  }
}

/** Such as `6 times` or `more than 1000 times`. */
const times = (ratio: number): string =>
  ratio > 1000 ? 'more than 1000 times' : `${Number(ratio.toPrecision(2))} times`;

const side = (distance: number): string => (distance > 0 ? 'above' : 'below');
