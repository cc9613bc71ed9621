import type { EpochMs } from './time.ts';

/**
 * What a device says of a value. `uncertain` readings count in every statistic and are counted apart; a device that calls a
 * value bad has its reading rejected.
 */
export type Quality = 'good' | 'uncertain';

/** One value of one sensor at one time, checked and complete: what a payload becomes before anything else looks at it. */
export interface Reading {
  readonly device: string;
  readonly metric: string;
  /** When the value was measured: by the device if it said so, else when the gateway received it. */
  readonly eventTime: EpochMs;
  /** Finite. */
  readonly value: number;
  readonly unit?: string;
  /**
   * The metric as the device names it, where the reading is in another unit than its sensor's. Then `metric` is another one that names the
   * unit too (`temperature (°F)`), so that nothing takes the two for one series.
   */
  readonly apartFrom?: string;
  readonly quality: Quality;
  /** The device's own count of its messages, if it sends one: tells a repeat from an equal reading. A whole number from 0. */
  readonly seq?: number;
}

/** How far a gateway's clock can be trusted. `unknown`: the operating system does not tell. */
export const CLOCK_QUALITIES = ['synchronised', 'unsynchronised', 'unknown'] as const;
export type ClockQuality = (typeof CLOCK_QUALITIES)[number];
