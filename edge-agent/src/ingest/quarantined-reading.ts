import { type EpochMs, limits, type Reading } from '@floorwatch/contracts';

import { YEAR_2000_MS } from './event-time.ts';

/** Why a reading is put in quarantine, and what a technician should do. The keys are what metrics and commands show. */
export const QUARANTINE_REASONS = {
  'time-in-future': 'the time lies too far ahead of the gateway’s clock; set the clock of the device',
  'time-in-past':
    'the time lies longer ago than "readings.pastMsMax"; set the clock of the device, release the reading if it is that old, or raise the setting',
  'time-before-2000':
    'the time lies before the year 2000; set the clock of the device, or of the gateway if the device sends no time',
} as const;

export type QuarantineReason = keyof typeof QUARANTINE_REASONS;

/** A reading whose time can't be right. Everything else of it is as good as any. */
export interface QuarantinedReading {
  readonly reading: Reading;
  /** The gateway's clock when it arrived. */
  readonly receivedAt: EpochMs;
  readonly reason: QuarantineReason;
}

/**
 * Why an event time can't be right, if it can't.
 *
 * @param latest what lies behind this instant is in the future; infinite while the gateway's own clock is known to be wrong, for then no
 * device's can be called wrong by it. No clock that was ever set shows a time before 2000, the gateway's neither, and no record may hold one
 * behind the year 2199.
 * @param earliest what lies before this instant is too long ago; a reading that a person releases may be of any age.
 */
export function faultOfTime(eventTime: number, latest: number, earliest = -Infinity): QuarantineReason | undefined {
  if (eventTime < YEAR_2000_MS) return 'time-before-2000';
  if (eventTime < earliest) return 'time-in-past';
  return eventTime > Math.min(latest, limits.instantMax) ? 'time-in-future' : undefined;
}
