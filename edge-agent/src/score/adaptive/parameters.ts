/**
 * The one shipped configuration of the adaptive detector: the same for every sensor. Every number was chosen as an idea and then
 * checked by moving it by a third; docs/detection.md has the figures. All averages are exponentially weighted and named by N, the
 * number of readings they remember: α = 2 / (N + 1).
 */

/** Counts up whenever the detector would score the same readings differently. */
export const ADAPTIVE_VERSION = 3;

/** What an unusual reading can be unusual in, in the order of every list of contributions. */
export const CHANNELS = [
  /** A value that was never seen before. */
  'new-value',
  /** A change of a size, relative to the usual change, that was never seen before. */
  'new-change',
  /** A distance from the usual value at this hour of the day that was never seen before. */
  'new-for-hour',
  /** A jump above the range of the last readings, larger than the largest ones of the past. */
  'jump-up',
  /** The same downwards. */
  'jump-down',
  /** A change that is large against the changes just before it, more so than in the past. */
  'fast-change',
  /** A distance from the short moving average that is larger than the largest ones of the past. */
  'off-average',
  /** One to three readings that stood out of both the reading before and the one after them, further than in the past. */
  'pulse',
] as const;
export type AdaptiveChannel = (typeof CHANNELS)[number];

// The places of the channels in every such list.
export const NEW_VALUE = 0;
export const NEW_CHANGE = 1;
export const NEW_FOR_HOUR = 2;
export const JUMP_UP = 3;
export const JUMP_DOWN = 4;
export const FAST_CHANGE = 5;
export const OFF_AVERAGE = 6;
export const PULSE = 7;

/** Weight of each channel's decades in the score, in the order of {@link CHANNELS}. */
export const CHANNEL_WEIGHTS = [0.9, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6] as const;

/** Exponent of the norm that combines the channels: between their sum (1) and their maximum (∞). */
export const NORM = 1.8;

/** A channel's score is cut here: more decades of improbability than six say nothing more. */
export const DECADES_MAX = 6;

/** The shipped thresholds, in decades. */
export const THRESHOLDS = { warning: 1.2, critical: 3 } as const;

/**
 * A sensor that reports more often than this has more chances to surprise. To keep the warnings of a day equal would take a whole decade
 * for every tenfold of readings if they were independent; neighbouring ones are not, so it is half of one.
 */
export const CADENCE_MINUTES = 5;
export const CADENCE_DECADES = 0.5;

/** A score counts in full from this many readings on, before in proportion: a short history proves less. */
export const FULL_HISTORY_READINGS = 500;

/** Until then it is at most log10(readings) and so many decades more: n readings show of nothing that it happens less often than once in 3 n. */
export const SHORT_HISTORY_DECADES = 0.5;

/** After a score s, only a higher one than s · (1 − 1/200)^readings is emitted: one event is not reported reading by reading. */
export const GATE_DECAY_READINGS = 200;

/** Readings before the scale of a feature is trusted. */
export const SCALE_READINGS_MIN = 20;

/** Readings that set the cells of a novelty channel; it scores from the next one on. */
export const NOVELTY_WARM_UP = 80;

/** Readings of a block, of which the tails keep the maximum. */
export const BLOCK_READINGS = 100;

/** N of the mean and variance of each feature. */
export const SCALE_N = 4000;

/** A feature's mean and variance learn at most this many standard deviations from one reading. */
export const LEARN_SD_MAX = 6;

/** Expected spread (sd of log(1 + maximum)) of block maxima before any were seen, and the number of blocks that it is worth. */
export const BLOCK_PRIOR_SD = 0.3;
export const BLOCK_PRIOR_WEIGHT = 8;

/**
 * From this many blocks on, what exceeds the expected maximum by more than `sd` standard deviations counts by `share` only. A fault
 * that returns is reported again a few times; a habit is learned within a day.
 */
export const ROBUST = { blocksMin: 10, sd: 2.5, share: 0.4 } as const;

/**
 * Until a sensor has been known for a day, only what is critical is reported of its values: where its day takes them is news every hour, and no fault. And as
 * what is seen for the first time comes the oftener the less was seen, a surprise counts for a decade less where a tenth of the day is known.
 */
export const FIRST_DAY_MS = 86_400_000;

/** A run of equal values or a silence is reported from this many decades on. */
export const STUCK_DECADES_MIN = 4;
export const INTERVAL_DECADES_MIN = 2;
