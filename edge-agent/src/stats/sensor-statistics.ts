import { durationMs, MOVING_STATISTICS, type MovingStatistics } from '@floorwatch/contracts';

import { CountWindow } from './count-window.ts';
import { ExponentialWindow } from './exponential-window.ts';
import type { MovingStatistic } from './moving-statistic.ts';
import type { ReadingInHand } from './reading-in-hand.ts';
import type { SensorRows } from './sensor-rows.ts';
import { TimeWindow } from './time-window.ts';

/** The forms of moving statistics: over a count of readings, over event time, exponentially weighted. */
export type StatisticForm = 'count' | 'time' | 'ew';

export interface StatisticsConfig {
  /** Readings in the count window. */
  readonly countReadings: number;
  /** Event time that the time window covers. */
  readonly timeWindowMs: number;
  /** N of the exponentially weighted form. */
  readonly ewReadings: number;
}

/** A moving statistic of the given form. */
export function createStatistic(form: StatisticForm, config: StatisticsConfig, rows?: SensorRows): MovingStatistic {
  if (form === 'count') return new CountWindow(config.countReadings, rows);
  if (form === 'time') return new TimeWindow(durationMs(config.timeWindowMs), rows);
  return new ExponentialWindow(config.ewReadings, rows);
}

/** All forms of moving statistics of all sensors. Every reading that is in order enters all of them, flagged or not. */
export class SensorStatistics {
  readonly count: MovingStatistic;
  readonly time: MovingStatistic;
  readonly ew: MovingStatistic;

  constructor(config: StatisticsConfig, rows?: SensorRows) {
    this.count = createStatistic('count', config, rows);
    this.time = createStatistic('time', config, rows);
    this.ew = createStatistic('ew', config, rows);
  }

  reserve(slots: number): void {
    this.count.reserve(slots);
    this.time.reserve(slots);
    this.ew.reserve(slots);
  }

  add(slot: number, reading: ReadingInHand): void {
    this.count.add(slot, reading);
    this.time.add(slot, reading);
    this.ew.add(slot, reading);
  }

  /** The statistics as they stand: means from the first reading on, standard deviations from the second. */
  snapshot(slot: number): MovingStatistics {
    const numbers = new Float64Array(MOVING_STATISTICS.length);
    this.write(slot, numbers, 0);
    return movingStatistics(numbers, 0);
  }

  /** Writes the same, in the order of `MOVING_STATISTICS`, from `at` on; NaN: null. Makes no objects. */
  write(slot: number, into: Float64Array, at: number): void {
    writeOne(this.count, slot, into, at);
    writeOne(this.time, slot, into, at + 2);
    writeOne(this.ew, slot, into, at + 4);
  }
}

/** What {@link SensorStatistics.write} wrote. */
export function movingStatistics(numbers: Float64Array, at: number): MovingStatistics {
  const shown = (place: number): number | null => (Number.isNaN(numbers[at + place]!) ? null : numbers[at + place]!);
  return {
    countMean: shown(0),
    countSd: shown(1),
    timeMean: shown(2),
    timeSd: shown(3),
    ewMean: shown(4),
    ewSd: shown(5),
  };
}

function writeOne(statistic: MovingStatistic, slot: number, into: Float64Array, at: number): void {
  into[at] = statistic.mean(slot);
  into[at + 1] = statistic.count(slot) < 2 ? NaN : Math.sqrt(statistic.variance(slot));
}
