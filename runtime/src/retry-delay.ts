/** How the pauses between failed attempts grow. */
export interface RetrySchedule {
  /** Longest pause after the first failure, in milliseconds; each further failure doubles it. */
  readonly firstMs: number;
  /** Longest pause at all, in milliseconds. */
  readonly maxMs: number;
}

/**
 * How long to wait after `failures` failures in a row (1 or more), in milliseconds: a random time in the upper half of the schedule's pause,
 * so that clients that lost one server do not come back all at once (M. Brooker, "Exponential Backoff And Jitter", 2015: equal jitter).
 *
 * @param random in [0, 1).
 */
export function retryDelay({ firstMs, maxMs }: RetrySchedule, failures: number, random = Math.random()): number {
  return Math.min(maxMs, firstMs * 2 ** (failures - 1)) * (0.5 + random / 2);
}
