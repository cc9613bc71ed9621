import { gatewayKey } from '@floorwatch/contracts';

import { processorLimits } from './limits.ts';
import type { Pipeline } from './pipeline.ts';
import { alarmView } from './sequence/alarms.ts';

/** What a person or a program may want to know of the processor itself: positions, counters, and what was rejected or refused. */
export function statusOf(pipeline: Pipeline): unknown {
  return {
    ...pipeline.health(),
    deadLetters: {
      open: pipeline.deadLetters?.open ?? 0,
      rejectedByReason: Object.fromEntries(pipeline.deadLetters?.rejected ?? []),
      newest: pipeline.deadLetters?.list(processorLimits.deadLettersShown).items ?? [],
    },
    alarms: pipeline
      .alarms()
      .slice(0, processorLimits.alarmsShown)
      .map((alarm) => ({ gateway: gatewayKey(alarm), cause: alarm.cause, alarm: alarmView(alarm) })),
    partitions: pipeline.lanes.map(({ runner: { partition, checkpoints, heldBack }, writer }) => ({
      partition: partition.number,
      stream: partition.cursor,
      counts: partition.counts,
      sourcesWaiting: partition.sequence.sourcesWaiting,
      openWindows: partition.windows.openWindows,
      watermarks: Object.fromEntries(
        partition.windows.watermarks().map((gateway) => [gatewayKey(gateway), gateway.watermark ?? null]),
      ),
      outbox: { rows: partition.outbox.size, ready: partition.outbox.readySize, heldBack },
      store: {
        written: writer.written,
        refused: writer.refused,
        expired: writer.expired,
        failures: writer.failures,
        trouble: writer.trouble ?? null,
      },
      checkpoints,
    })),
  };
}
