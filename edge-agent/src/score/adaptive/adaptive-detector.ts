import { learnProfile, measureOffProfile, PROFILE_FIELDS } from './day-profile.ts';
import { learnRun, rareRun, RUN_FIELDS, runFactor } from './equal-run.ts';
import { acceptNovelty, NOVELTY_FIELDS } from './novelty-channel.ts';
import {
  type AdaptiveChannel,
  BLOCK_READINGS,
  CHANNEL_WEIGHTS,
  CHANNELS,
  FAST_CHANGE,
  FULL_HISTORY_READINGS,
  GATE_DECAY_READINGS,
  JUMP_UP,
  LEARN_SD_MAX,
  NEW_CHANGE,
  NEW_FOR_HOUR,
  NEW_VALUE,
  NORM,
  NOVELTY_WARM_UP,
  OFF_AVERAGE,
  SCALE_N,
  SCALE_READINGS_MIN,
  SHORT_HISTORY_DECADES,
} from './parameters.ts';
import { measureJump, measurePulse, RECENT_READINGS } from './recent-readings.ts';
import { RowTable } from '../../stats/row-table.ts';
import type { SensorRows } from '../../stats/sensor-rows.ts';
import { acceptTail, clearTail, closeTailBlock, TAIL_FIELDS, tailMean, usualMaximum } from './tail-channel.ts';

/** What `accept` answers while it cannot judge yet: not a score of 0, which would say "nothing unusual". */
export const WARMING_UP = -1;
/** What `accept` answers for a reading that is older than its sensor's newest, or no number: it was neither scored nor learned. */
export const NOT_SCORED = -2;

// The first channels judge novelty, the others size.
const FIRST_TAIL = JUMP_UP;
const NOVELTY_CHANNELS = FIRST_TAIL;
const TAIL_CHANNELS = CHANNELS.length - NOVELTY_CHANNELS;

// One sensor's row.
const COUNT = 0;
const LAST_TIME = 1;
const LAST_VALUE = 2;
/** Short moving mean of the value. */
const SHORT_MEAN = 3;
/** Moving mean of |change|, and moving mean square of the change, as long as a scale. */
const CHANGE_MEAN = 4;
const CHANGE_SQUARE = 5;
/** Smoothed distance from the profile of the day. */
const HOUR_RESIDUAL = 6;
/** The last emitted score, and the reading that had it. */
const GATE = 7;
const GATE_COUNT = 8;
/** Readings in the current block, and closed blocks. */
const BLOCK_FILL = 9;
const BLOCKS = 10;
/** The last values, newest first. */
const RECENT = 11;
const PROFILE = RECENT + RECENT_READINGS;
const EQUAL_RUN = PROFILE + PROFILE_FIELDS;
const NOVELTIES = EQUAL_RUN + RUN_FIELDS;
const TAILS = NOVELTIES + NOVELTY_CHANNELS * NOVELTY_FIELDS;
const FIELDS = TAILS + TAIL_CHANNELS * TAIL_FIELDS;

/** A change is at least compared with this part of its long-term root mean square: after a quiet hour a normal one is not fast. */
const CHANGE_FLOOR = 0.02;
/** Weight of the newest reading in the short mean (N = 6), in the usual change (N = 40) and in its scale. */
const SHORT_ALPHA = 2 / 7;
const CHANGE_ALPHA = 2 / 41;
const SCALE_ALPHA = 2 / (SCALE_N + 1);
/** Readings before there is a usual change. */
const RATIO_READINGS_MIN = 10;
/** A ratio of changes is cut here, or one change after a constant stretch would leave all others in one cell. */
const RATIO_MAX = 1e6;
/** How much of a new distance from the profile goes into the smoothed one. */
const HOUR_SMOOTHING = 0.4;
/** Smallest difference that means something, as part of the value: a good deal above what a double loses to rounding. */
const RESOLUTION = 1e-9;

const GATE_FACTOR = Math.log1p(-1 / GATE_DECAY_READINGS);

/**
 * The adaptive detector: how improbable is this reading, given everything that its sensor has shown so far? One instance holds all
 * sensors of a gateway, by slot. It scores before it learns, looks at one reading at a time, never ahead, and needs neither training
 * nor configuration.
 *
 * A reading is described by a few features (its value, its jump out of the range of the last six readings, its change relative to
 * the usual change, its distance from the short mean and from the usual value of this hour, the pulse that it ends). A novelty channel asks whether the like
 * was seen before; a tail channel asks whether it is larger than the largest of every hundred readings. The score is a norm of
 * the weighted channels in decades (−log10 p), where a change after a rare run of equal values counts more, let through a gate so that one event is
 * reported once.
 *
 * State: {@link AdaptiveDetector.bytesPerSensor} bytes per sensor in one flat array. Nothing is allocated per reading.
 */
export class AdaptiveDetector {
  static readonly bytesPerSensor = FIELDS * Float64Array.BYTES_PER_ELEMENT;

  /** Decades of each channel for the reading accepted last, unweighted, in the order of {@link CHANNELS}. */
  readonly contributions = new Float64Array(CHANNELS.length);
  /**
   * What each channel judged in the reading accepted last, in the order of {@link CHANNELS}: the value, the change over the usual
   * change, the smoothed distance from the usual value of this hour (NaN: unknown), the jump upwards and downwards out of the last
   * readings' range, the change over the usual change again, the distance from the short mean, the height of the pulse that ended
   * (negative: a pulse downwards). In the sensor's unit, but for the ratios.
   */
  readonly features = new Float64Array(CHANNELS.length);

  /** The state of all sensors. */
  readonly table: RowTable;
  readonly #weights: readonly number[];
  /** The smallest difference of each feature that means something. */
  readonly #resolutions = new Float64Array(CHANNELS.length);
  /** Whether `contributions` holds anything but zeros. */
  #contributed = false;

  /** The score of the reading accepted last before the gate, decades. */
  ungated = 0;

  /**
   * @param weights of the channels, in the order of {@link CHANNELS}; 0 switches one off
   */
  constructor(rows?: SensorRows, weights: readonly number[] = CHANNEL_WEIGHTS) {
    this.table = new RowTable(FIELDS, rows, clearRow);
    this.#weights = weights;
  }

  /**
   * Scores the reading at `index` of the columns for the sensor in `slot`, then learns it. Columns, because a number passed by
   * itself is a heap object to the engine, and this is called for every reading.
   *
   * @param times event times, epoch milliseconds; not before the sensor's newest, or the answer is {@link NOT_SCORED}
   * @param values finite, in the sensor's unit; else the answer is {@link NOT_SCORED}
   * @returns decades of improbability, 0 and up; 0 also for a reading that is no news (see the gate); {@link WARMING_UP} for the
   *   first readings of a sensor
   */
  accept(slot: number, times: Float64Array, values: Float64Array, index: number): number {
    const o = this.table.rowOf(slot);
    const s = this.table.state;
    const value = values[index]!;
    const count = s[o + COUNT]! + 1;
    if (!Number.isFinite(value) || (count > 1 && !(times[index]! >= s[o + LAST_TIME]!))) return NOT_SCORED;
    s[o + COUNT] = count;
    if (this.#contributed) {
      this.contributions.fill(0);
      this.ungated = 0;
      this.#contributed = false;
    }
    if (count === 1) {
      s[o + SHORT_MEAN] = value;
      s[o + LAST_VALUE] = value;
      s.fill(value, o + RECENT, o + RECENT + RECENT_READINGS);
    }
    this.#measure(s, o, times, values, index, count);
    this.#judge(s, o, count);
    this.#learn(s, o, count);
    if (count > 1) learnProfile(s, o + PROFILE, times, values, index, o + LAST_TIME);
    s[o + LAST_TIME] = times[index]!;
    s[o + LAST_VALUE] = value;
    if (count <= NOVELTY_WARM_UP) return WARMING_UP;
    return this.#contributed ? this.#emit(s, o, count) : 0;
  }

  /** The channel that contributed most to the reading accepted last, or `undefined` if none did. */
  leadingChannel(): AdaptiveChannel | undefined {
    let leading: AdaptiveChannel | undefined;
    let most = 0;
    for (let channel = 0; channel < CHANNELS.length; channel += 1) {
      const weighted = this.#weights[channel]! * this.contributions[channel]!;
      if (weighted <= most) continue;
      most = weighted;
      leading = CHANNELS[channel];
    }
    return leading;
  }

  /**
   * How many equal values before the reading accepted last, of the sensor in `slot`, are so rare that they make a change of more
   * weight; 0: none are.
   */
  equalBefore(slot: number): number {
    const repetitions = rareRun(this.table.state, this.table.rowOf(slot) + EQUAL_RUN);
    return repetitions === 0 ? 0 : repetitions + 1;
  }

  /**
   * Where the reading accepted last, of the sensor in `slot`, was expected, in its unit: the short mean before it, give or take the
   * distance that a hundred readings usually reach once. `null` while too little is known.
   */
  expected(slot: number): { readonly low: number; readonly high: number } | null {
    const o = this.table.rowOf(slot);
    const s = this.table.state;
    const tail = o + TAILS + (OFF_AVERAGE - FIRST_TAIL) * TAIL_FIELDS;
    const margin = usualMaximum(s, tail, s[o + BLOCKS]!);
    if (Number.isNaN(margin)) return null;
    const middle = this.features[NEW_VALUE]! - this.features[OFF_AVERAGE]! + tailMean(s, tail);
    return { low: middle - margin, high: middle + margin };
  }

  /** Forgets the sensor in `slot`, so that the slot can be given to another one. */
  forget(slot: number): void {
    this.table.clear(slot);
  }

  /** The features of a reading, from the row as it was before it. */
  #measure(s: Float64Array, o: number, times: Float64Array, values: Float64Array, index: number, count: number): void {
    const features = this.features;
    const value = values[index]!;
    const size = Math.abs(value - s[o + LAST_VALUE]!);
    const usual = s[o + CHANGE_MEAN]! + CHANGE_FLOOR * Math.sqrt(s[o + CHANGE_SQUARE]!);
    const ratio = count > RATIO_READINGS_MIN && size > 0 ? Math.min(size / usual, RATIO_MAX) : 0;
    features[NEW_VALUE] = value;
    features[NEW_CHANGE] = ratio;
    measureOffProfile(s, o + PROFILE, times, values, index, features, NEW_FOR_HOUR);
    features[NEW_FOR_HOUR] = s[o + HOUR_RESIDUAL]! + HOUR_SMOOTHING * (features[NEW_FOR_HOUR]! - s[o + HOUR_RESIDUAL]!);
    features[FAST_CHANGE] = ratio;
    features[OFF_AVERAGE] = value - s[o + SHORT_MEAN]!;
    measurePulse(s, o + RECENT, features);
    measureJump(s, o + RECENT, features);
    const resolution = RESOLUTION * Math.abs(value);
    const resolutions = this.#resolutions;
    for (let channel = 0; channel < CHANNELS.length; channel += 1) resolutions[channel] = resolution;
    resolutions[NEW_CHANGE] = RESOLUTION;
    resolutions[FAST_CHANGE] = RESOLUTION;
  }

  /** The channels' decades. Each channel learns in the same step, after it has scored. */
  #judge(s: Float64Array, o: number, count: number): void {
    const { features, contributions } = this;
    let contributed = false;
    for (let channel = NEW_VALUE; channel < NOVELTY_CHANNELS; channel += 1) {
      if (channel === NEW_CHANGE && count <= RATIO_READINGS_MIN) continue;
      if (channel === NEW_FOR_HOUR && Number.isNaN(features[channel]!)) continue;
      const row = o + NOVELTIES + channel * NOVELTY_FIELDS;
      if (acceptNovelty(s, row, channel, features, this.#resolutions, contributions)) contributed = true;
    }
    const blocks = s[o + BLOCKS]! | 0;
    for (let tail = 0; tail < TAIL_CHANNELS; tail += 1) {
      const row = o + TAILS + tail * TAIL_FIELDS;
      if (acceptTail(s, row, FIRST_TAIL + tail, features, this.#resolutions, contributions, blocks, count))
        contributed = true;
    }
    if (count > SCALE_READINGS_MIN) {
      const fill = s[o + BLOCK_FILL]! + 1;
      s[o + BLOCK_FILL] = fill;
      if (fill === BLOCK_READINGS) closeBlocks(s, o);
    }
    this.#contributed = contributed;
  }

  /** Learns what the next features will be compared with. */
  #learn(s: Float64Array, o: number, count: number): void {
    const features = this.features;
    if (!Number.isNaN(features[NEW_FOR_HOUR]!)) s[o + HOUR_RESIDUAL] = features[NEW_FOR_HOUR]!;
    if (count === 1) return;
    const changes = count - 1;
    const change = features[NEW_VALUE]! - s[o + LAST_VALUE]!;
    learnRun(s, o + EQUAL_RUN, change !== 0);
    s[o + SHORT_MEAN] = s[o + SHORT_MEAN]! + Math.max(1 / count, SHORT_ALPHA) * features[OFF_AVERAGE]!;
    s[o + CHANGE_MEAN] =
      s[o + CHANGE_MEAN]! + Math.max(1 / changes, CHANGE_ALPHA) * (Math.abs(change) - s[o + CHANGE_MEAN]!);
    const square = s[o + CHANGE_SQUARE]!;
    const bound = changes >= SCALE_READINGS_MIN && square > 0 ? LEARN_SD_MAX * LEARN_SD_MAX * square : Infinity;
    s[o + CHANGE_SQUARE] = square + Math.max(1 / changes, SCALE_ALPHA) * (Math.min(change * change, bound) - square);
  }

  /** Combines the channels; a score that the gate holds back is 0. */
  #emit(s: Float64Array, o: number, count: number): number {
    const raised = runFactor(s, o + EQUAL_RUN);
    let sum = 0;
    for (let channel = 0; channel < CHANNELS.length; channel += 1) {
      const decades = this.contributions[channel]!;
      if (decades > 0) sum += (this.#weights[channel]! * (isOfChange(channel) ? raised : 1) * decades) ** NORM;
    }
    const history = Math.min(1, count / FULL_HISTORY_READINGS);
    const score = history * sum ** (1 / NORM);
    this.ungated = score;
    if (score <= s[o + GATE]! * Math.exp(GATE_FACTOR * (count - s[o + GATE_COUNT]!))) return 0;
    s[o + GATE] = score;
    s[o + GATE_COUNT] = count;
    return count < FULL_HISTORY_READINGS ? Math.min(score, Math.log10(count) + SHORT_HISTORY_DECADES) : score;
  }
}

/** Whether the channel judges how the value has changed, not where it is. */
export const isOfChange = (channel: number): boolean => channel !== NEW_VALUE && channel !== NEW_FOR_HOUR;

function clearRow(s: Float64Array, o: number): void {
  s.fill(0, o, o + FIELDS);
  for (let tail = TAILS; tail < FIELDS; tail += TAIL_FIELDS) clearTail(s, o + tail);
}

function closeBlocks(s: Float64Array, o: number): void {
  const blocks = s[o + BLOCKS]! + 1;
  s[o + BLOCKS] = blocks;
  s[o + BLOCK_FILL] = 0;
  for (let tail = TAILS; tail < FIELDS; tail += TAIL_FIELDS) closeTailBlock(s, o + tail, blocks);
}
