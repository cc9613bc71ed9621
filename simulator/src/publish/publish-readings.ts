import { type EpochMs, epochMs } from '@floorwatch/contracts';
import { pause } from '@floorwatch/runtime';

import type { SourceReading } from '../sensor.ts';
import type { MessageEncoder } from './message.ts';
import type { MqttPublisher } from './mqtt-publisher.ts';
import type { Timeline } from './timeline.ts';

/** Where the publishing stands. */
export interface PublishProgress {
  /** How much later than due the newest reading went out. */
  lagMs: number;
}

const clock = (): EpochMs => epochMs(Date.now());

/**
 * Publishes readings when they are due, in the order in which they come. A reading whose time lies before that of the one before it is
 * due at once. When the broker is slower than the readings are, they go out late and none is left out.
 *
 * @returns when all are handed over, or `signal` aborts; not before the source's clean-up ran.
 */
export async function publishReadings(
  batches: AsyncIterable<readonly SourceReading[]> | Iterable<readonly SourceReading[]>,
  timeline: Timeline,
  encoder: MessageEncoder,
  publisher: MqttPublisher,
  progress: PublishProgress,
  signal: AbortSignal,
): Promise<void> {
  for await (const batch of batches) {
    for (const { sensor, at, value, unit } of batch) {
      const due = timeline.dueAt(at);
      let now = clock();
      while (due > now && !signal.aborted) {
        progress.lagMs = 0;
        await pause(due - now, signal);
        now = clock();
      }
      if (!publisher.hasRoom) {
        await publisher.room(signal);
        now = clock();
      }
      if (signal.aborted) return;
      publisher.publish(encoder.encode(sensor, timeline.eventTimeOf(at, now), value, unit));
      progress.lagMs = timeline.paced ? Math.max(0, now - due) : 0;
    }
  }
}
