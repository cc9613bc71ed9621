import { learnProfile, offProfile, PROFILE_FIELDS } from './day-profile.ts';
import { acceptNovelty, NOVELTY_FIELDS } from './novelty-channel.ts';
import {
  type AdaptiveChannel,
  BLOCK_READINGS,
  CHANNEL_WEIGHTS,
  CHANNELS,
  GATE_DECAY_READINGS,
  LEARN_SD_MAX,
  NORM,
  NOVELTY_WARM_UP,
  SCALE_N,
  SCALE_READINGS_MIN,
} from './parameters.ts';
import { SensorTable } from './sensor-table.ts';
import {
  clearTail,
  closeTailBlock,
  learnTail,
  scoreTail,
  TAIL_FIELDS,
  tailMean,
  usualMaximum,
} from './tail-channel.ts';

/** What `accept` answers while it cannot judge yet: not a score of 0, which would say "nothing unusual". */
export const WARMING_UP = -1;
/** What `accept` answers for a reading that is older than its sensor's newest, or no number: it was neither scored nor learned. */
export const NOT_SCORED = -2;

/** Readings whose range a jump has to leave. */
const RANGE_READINGS = 6;

// One sensor's row.
const COUNT = 0;
const LAST_TIME = 1;
const LAST_VALUE = 2;
/** Exponentially weighted mean of the value, N = 6. */
const SHORT_MEAN = 3;
/** Exponentially weighted mean of |change|, N = 40, and mean square of the change, as long as a scale. */
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
const PROFILE = RECENT + RANGE_READINGS;
const NOVELTIES = PROFILE + PROFILE_FIELDS;
const TAILS = NOVELTIES + 3 * NOVELTY_FIELDS;
const FIELDS = TAILS + 4 * TAIL_FIELDS;

const NEW_VALUE = NOVELTIES;
const NEW_CHANGE = NOVELTIES + NOVELTY_FIELDS;
const NEW_FOR_HOUR = NOVELTIES + 2 * NOVELTY_FIELDS;
const JUMP_UP = TAILS;
const JUMP_DOWN = TAILS + TAIL_FIELDS;
const FAST_CHANGE = TAILS + 2 * TAIL_FIELDS;
const OFF_AVERAGE = TAILS + 3 * TAIL_FIELDS;

/** A change is at least compared with this part of its long-term root mean square: after a quiet hour a normal one is not fast. */
const CHANGE_FLOOR = 0.02;
/** Readings before there is a usual change. */
const RATIO_READINGS_MIN = 10;
/** A ratio of changes is cut here, or one change after a constant stretch would leave all others in one cell. */
const RATIO_MAX = 1e6;
/** How much of a new distance from the profile goes into the smoothed one. */
const HOUR_SMOOTHING = 0.3;
/** Smallest difference that means something, as part of the value: a good deal above what a double loses to rounding. */
const RESOLUTION = 1e-9;

const GATE_FACTOR = Math.log1p(-1 / GATE_DECAY_READINGS);

const weight = (count: number, n: number): number => Math.max(1 / count, 2 / (n + 1));

/**
 * The adaptive detector: how improbable is this reading, given everything that its sensor has shown so far? One instance holds all
 * sensors of a gateway, by slot. It scores before it learns, looks at one reading at a time, never ahead, and needs neither training
 * nor configuration.
 *
 * A reading is described by a few features (its value, its jump out of the range of the last six readings, its change relative to
 * the usual change, its distance from the short mean and from the usual value of this hour). A novelty channel asks whether the like
 * was seen before; a tail channel asks whether it is larger than the largest of every hundred readings. The score is a norm of
 * the weighted channels in decades (−log10 p), let through a gate so that one event is reported once.
 *
 * State: {@link AdaptiveDetector.bytesPerSensor} bytes per sensor in one flat array. Nothing is allocated per reading.
 */
export class AdaptiveDetector {
  static readonly bytesPerSensor = FIELDS * Float64Array.BYTES_PER_ELEMENT;

  /** Decades of each channel for the reading accepted last, unweighted, in the order of {@link CHANNELS}. */
  readonly contributions = new Float64Array(CHANNELS.length);

  readonly #table: SensorTable;
  /** Whether `contributions` holds anything but zeros. */
  #contributed = false;

  /** `slots`: how many sensors to make room for at first; it grows as they come. */
  constructor(slots: number) {
    this.#table = new SensorTable(FIELDS, slots, clearRow);
  }

  /**
   * Scores a reading of the sensor in `slot`, then learns it.
   *
   * @param timeMs event time, epoch milliseconds; not before the sensor's newest, or the answer is {@link NOT_SCORED}
   * @param value finite, in the sensor's unit
   * @returns decades of improbability, 0 and up; 0 also for a reading that is no news (see the gate); {@link WARMING_UP} for the
   *   first readings of a sensor
   */
  accept(slot: number, timeMs: number, value: number): number {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    const count = s[o + COUNT]! + 1;
    if (!Number.isFinite(value) || (count > 1 && !(timeMs >= s[o + LAST_TIME]!))) return NOT_SCORED;
    s[o + COUNT] = count;
    if (this.#contributed) {
      this.contributions.fill(0);
      this.#contributed = false;
    }
    if (count === 1) startRow(s, o, timeMs, value);
    else this.#acceptNext(s, o, timeMs, value, count);
    s[o + LAST_TIME] = timeMs;
    s[o + LAST_VALUE] = value;
    if (count <= NOVELTY_WARM_UP) return WARMING_UP;
    return this.#contributed ? this.#emit(s, o, count) : 0;
  }

  /** The channel that contributed most to the reading accepted last, or `undefined` if none did. */
  leadingChannel(): AdaptiveChannel | undefined {
    let leading: AdaptiveChannel | undefined;
    let most = 0;
    for (let channel = 0; channel < CHANNELS.length; channel += 1) {
      const weighted = CHANNEL_WEIGHTS[channel]! * this.contributions[channel]!;
      if (weighted <= most) continue;
      most = weighted;
      leading = CHANNELS[channel];
    }
    return leading;
  }

  /**
   * Where the next value of the sensor is expected, in its unit: the short mean, give or take the distance that a hundred readings
   * usually reach once. `null` while too little is known.
   */
  expected(slot: number): { readonly low: number; readonly high: number } | null {
    const o = this.#table.rowOf(slot);
    const s = this.#table.state;
    const margin = usualMaximum(s, o + OFF_AVERAGE, s[o + BLOCKS]!);
    if (Number.isNaN(margin)) return null;
    const middle = s[o + SHORT_MEAN]! + tailMean(s, o + OFF_AVERAGE);
    return { low: middle - margin, high: middle + margin };
  }

  /** Forgets the sensor in `slot`, so that the slot can be given to another one. */
  forget(slot: number): void {
    this.#table.clear(slot);
  }

  /** The state of all sensors, byte for byte; {@link AdaptiveDetector.restore} takes it back. */
  snapshot(): Uint8Array {
    return this.#table.snapshot();
  }

  /** Replaces the state of all sensors. @throws RangeError when `bytes` does not consist of whole rows */
  restore(bytes: Uint8Array): void {
    this.#table.restore(bytes);
  }

  /** Features, channels and learning for every reading but the first. */
  #acceptNext(s: Float64Array, o: number, timeMs: number, value: number, count: number): void {
    const change = value - s[o + LAST_VALUE]!;
    const size = Math.abs(change);
    const usual = s[o + CHANGE_MEAN]! + CHANGE_FLOOR * Math.sqrt(s[o + CHANGE_SQUARE]!);
    const ratio = count > RATIO_READINGS_MIN && size > 0 ? Math.min(size / usual, RATIO_MAX) : 0;
    const off = value - s[o + SHORT_MEAN]!;
    const jump = jumpOut(s, o + RECENT, value);

    this.#novelty(s, o, timeMs, value, ratio, count);
    const up = jump > 0 ? jump : 0;
    const down = jump < 0 ? -jump : 0;
    if (count > SCALE_READINGS_MIN) {
      const resolution = RESOLUTION * value;
      const floor = resolution * resolution + Number.MIN_VALUE;
      const blocks = s[o + BLOCKS]!;
      this.#contribute(3, scoreTail(s, o + JUMP_UP, up, floor, blocks));
      this.#contribute(4, scoreTail(s, o + JUMP_DOWN, down, floor, blocks));
      this.#contribute(5, scoreTail(s, o + FAST_CHANGE, ratio, RESOLUTION * RESOLUTION, blocks));
      this.#contribute(6, scoreTail(s, o + OFF_AVERAGE, off, floor, blocks));
      const fill = s[o + BLOCK_FILL]! + 1;
      s[o + BLOCK_FILL] = fill;
      if (fill === BLOCK_READINGS) closeBlocks(s, o);
    }
    const alpha = weight(count - 1, SCALE_N);
    const bounded = count > SCALE_READINGS_MIN;
    learnTail(s, o + JUMP_UP, up, alpha, bounded);
    learnTail(s, o + JUMP_DOWN, down, alpha, bounded);
    learnTail(s, o + FAST_CHANGE, ratio, alpha, bounded);
    learnTail(s, o + OFF_AVERAGE, off, alpha, bounded);
    s[o + SHORT_MEAN] = s[o + SHORT_MEAN]! + weight(count, 6) * off;
    s[o + CHANGE_MEAN] = s[o + CHANGE_MEAN]! + weight(count - 1, 40) * (size - s[o + CHANGE_MEAN]!);
    const square = s[o + CHANGE_SQUARE]!;
    const learned =
      bounded && square > 0 ? Math.min(change * change, LEARN_SD_MAX * LEARN_SD_MAX * square) : change * change;
    s[o + CHANGE_SQUARE] = square + alpha * (learned - square);
    learnProfile(s, o + PROFILE, timeMs, timeMs - s[o + LAST_TIME]!, value);
  }

  #novelty(s: Float64Array, o: number, timeMs: number, value: number, ratio: number, count: number): void {
    const resolution = RESOLUTION * Math.abs(value);
    this.#contribute(0, acceptNovelty(s, o + NEW_VALUE, value, resolution));
    if (count > RATIO_READINGS_MIN) this.#contribute(1, acceptNovelty(s, o + NEW_CHANGE, ratio, RESOLUTION));
    const offHour = offProfile(s, o + PROFILE, timeMs, value);
    if (Number.isNaN(offHour)) return;
    const smoothed = s[o + HOUR_RESIDUAL]! + HOUR_SMOOTHING * (offHour - s[o + HOUR_RESIDUAL]!);
    s[o + HOUR_RESIDUAL] = smoothed;
    this.#contribute(2, acceptNovelty(s, o + NEW_FOR_HOUR, smoothed, resolution));
  }

  #contribute(channel: number, decades: number): void {
    if (decades === 0) return;
    this.contributions[channel] = decades;
    this.#contributed = true;
  }

  /** Combines the channels; a score that the gate holds back is 0. */
  #emit(s: Float64Array, o: number, count: number): number {
    let sum = 0;
    for (let channel = 0; channel < CHANNELS.length; channel += 1) {
      const decades = this.contributions[channel]!;
      if (decades > 0) sum += (CHANNEL_WEIGHTS[channel]! * decades) ** NORM;
    }
    const score = sum ** (1 / NORM);
    if (score <= s[o + GATE]! * Math.exp(GATE_FACTOR * (count - s[o + GATE_COUNT]!))) return 0;
    s[o + GATE] = score;
    s[o + GATE_COUNT] = count;
    return score;
  }
}

function clearRow(s: Float64Array, o: number): void {
  s.fill(0, o, o + FIELDS);
  for (let tail = TAILS; tail < FIELDS; tail += TAIL_FIELDS) clearTail(s, o + tail);
}

function startRow(s: Float64Array, o: number, timeMs: number, value: number): void {
  s[o + SHORT_MEAN] = value;
  s.fill(value, o + RECENT, o + RECENT + RANGE_READINGS);
  acceptNovelty(s, o + NEW_VALUE, value, RESOLUTION * Math.abs(value));
  learnProfile(s, o + PROFILE, timeMs, 0, value);
}

function closeBlocks(s: Float64Array, o: number): void {
  const blocks = s[o + BLOCKS]! + 1;
  s[o + BLOCKS] = blocks;
  s[o + BLOCK_FILL] = 0;
  for (let tail = TAILS; tail < FIELDS; tail += TAIL_FIELDS) closeTailBlock(s, o + tail, blocks);
}

/**
 * How far `value` lies above (positive) or below (negative) the range of the last values, which begin at `recent`; 0 inside. Then it
 * becomes the newest of them.
 */
function jumpOut(s: Float64Array, recent: number, value: number): number {
  let low = Infinity;
  let high = -Infinity;
  let newer = value;
  for (let i = recent; i < recent + RANGE_READINGS; i += 1) {
    const earlier = s[i]!;
    if (earlier < low) low = earlier;
    if (earlier > high) high = earlier;
    s[i] = newer;
    newer = earlier;
  }
  if (value > high) return value - high;
  return value < low ? value - low : 0;
}
