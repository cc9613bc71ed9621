import type { EpochMs, Reading } from '@floorwatch/contracts';

/** Why a reading is put in quarantine, and what a technician should do. The keys are what metrics and commands show. */
export const QUARANTINE_REASONS = {
  'time-in-future': 'the time lies too far ahead of the gateway’s clock; set the clock of the device',
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
