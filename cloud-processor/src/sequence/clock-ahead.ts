import { type EpochMs, type FloorRecord } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';

/**
 * Whether a gateway calls a clock synchronised that is far ahead of the server's. A person should know of that, but the records are taken: the
 * gateway sends no other ones under their numbers, and who forges them can do the same harm with a clock that is called unsynchronised. Event
 * times and watermarks are not looked at, because they may come from a time when the clock was wrong.
 *
 * @param storedAt when the stream got the records, by the NATS server's clock, which may be wrong as well.
 */
export function isClockAhead(records: readonly FloorRecord[], storedAt: EpochMs): boolean {
  return records.some(
    (record) =>
      (record.kind === 'tick' || record.kind === 'status' || record.kind === 'start') &&
      record.clock === 'synchronised' &&
      record.at - storedAt > processorLimits.clockAheadMs,
  );
}
