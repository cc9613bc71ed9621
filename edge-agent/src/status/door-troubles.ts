import { counted, durationInWords } from '@floorwatch/contracts';
import { DOOR_REASON_NAMES, DOOR_REASONS, type DoorViews } from '../ingest/door-log.ts';
import type { Trouble } from './troubles.ts';

/** One trouble for each reason for which clients were refused lately, with the client that caused it most often. */
export function* doorTroubles(door: DoorViews): Generator<Trouble> {
  for (const reason of DOOR_REASON_NAMES) {
    const { count, worst } = door[reason];
    const { severity, timesMin, what, remedy } = DOOR_REASONS[reason];
    if (worst === null || worst.times < timesMin) continue;
    const { who, times, since, at } = worst;
    const span = times === 1 ? '' : ` in ${durationInWords(Math.max(1_000, at - since))}`;
    yield {
      code: `door-${reason}`,
      severity,
      what: `${what}: ${who}, ${counted(times, 'time')}${span} (all clients since the start: ${count})`,
      remedy,
      runbook: 'broker',
    };
  }
}
