import { type EpochMs, type FloorRecord } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';

/**
 * Why the clock of a gateway that calls it synchronised can't be right, or undefined. Only what a gateway says of its clock now is judged, and
 * only by far: event times and watermarks may come from a time when it was wrong, and NATS's own clock may be.
 *
 * @param storedAt when the stream got the records, by the NATS server's clock.
 */
export function impossibleClock(records: readonly FloorRecord[], storedAt: EpochMs): string | undefined {
  for (const record of records) {
    if (record.kind !== 'tick' && record.kind !== 'status' && record.kind !== 'start') continue;
    if (record.clock !== 'synchronised' || record.at - storedAt <= processorLimits.clockAheadMs) continue;
    const [clock, server] = [record.at, storedAt].map((at) => new Date(at).toISOString());
    return `number ${record.number} says that the gateway's clock is synchronised and shows ${clock}, the NATS server's ${server}`;
  }
  return undefined;
}
