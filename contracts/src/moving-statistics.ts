import { z } from 'zod';

/**
 * A sensor's moving averages and standard deviations at one moment, in the sensor's unit. A value is null while too few readings
 * have been seen to give one.
 */
export interface MovingStatistics {
  /** Over the last N readings (64 by default). */
  readonly countMean: number | null;
  readonly countSd: number | null;
  /** Over the last stretch of event time, in 12 panes. */
  readonly timeMean: number | null;
  readonly timeSd: number | null;
  /** Exponentially weighted. */
  readonly ewMean: number | null;
  readonly ewSd: number | null;
}

/** What is told of a sensor about which nothing is known. */
export const NO_STATISTICS: MovingStatistics = {
  countMean: null,
  countSd: null,
  timeMean: null,
  timeSd: null,
  ewMean: null,
  ewSd: null,
};

/** The names of {@link MovingStatistics}, in the order in which records and stores list them. */
export const MOVING_STATISTICS = ['countMean', 'countSd', 'timeMean', 'timeSd', 'ewMean', 'ewSd'] as const;

/** Which of the names are means, and so move with an offset of the series. */
export const MOVING_MEANS: ReadonlySet<string> = new Set(['countMean', 'timeMean', 'ewMean']);

const statistic = z.number().nullable();

export const movingStatisticsSchema = z.strictObject({
  countMean: statistic,
  countSd: statistic,
  timeMean: statistic,
  timeSd: statistic,
  ewMean: statistic,
  ewSd: statistic,
});
