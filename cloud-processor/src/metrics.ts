import { sizeLabel } from '@floorwatch/contracts';
import { defineMetrics, type Metric, type Sample } from '@floorwatch/runtime';
import { collectDefaultMetrics, Registry } from 'prom-client';

import { METRIC_PREFIX } from './metric-prefix.ts';
import type { Lane } from './partition-parts.ts';
import type { Pipeline } from './pipeline.ts';
import { ALARM_CAUSES } from './sequence/alarms.ts';

type View = Pick<
  Pipeline,
  'lanes' | 'alarms' | 'deadLetters' | 'floorMessages' | 'live' | 'reprocessor' | 'retention'
> &
  Pick<Pipeline, 'storeClockAheadMs'>;
type Read = Metric<View>['read'];

/** The processor's Prometheus metrics. */
export function createMetrics(view: View): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: METRIC_PREFIX });
  defineMetrics(registry, METRIC_PREFIX, METRICS, () => view);
  return registry;
}

const sum = (of: (lane: Lane) => number): Read => {
  return ({ lanes }) => lanes.reduce((total, lane) => total + of(lane), 0);
};

const count = (name: keyof Lane['runner']['partition']['counts']): Read =>
  sum(({ runner }) => runner.partition.counts[name]);

const byPartition = (of: (lane: Lane) => number | undefined): Read => {
  return ({ lanes }) => lanes.map((lane) => [{ partition: String(lane.runner.partition.number) }, of(lane)]);
};

const byGateway = (samples: (windows: Lane['runner']['partition']['windows']) => readonly Sample[]): Read => {
  return ({ lanes }) => lanes.flatMap(({ runner }) => samples(runner.partition.windows));
};

/** What the partitions count under the same names, added up. */
const byName = <K extends string>(
  counts: (lane: Lane) => Iterable<readonly [name: K, times: number]>,
  labels: (name: K) => Sample[0],
): Read => {
  return ({ lanes }) => {
    const totals = new Map<K, number>();
    for (const [name, times] of lanes.flatMap((lane) => [...counts(lane)])) {
      totals.set(name, (totals.get(name) ?? 0) + times);
    }
    return [...totals].map(([name, times]) => [labels(name), times]);
  };
};

const METRICS: readonly Metric<View>[] = [
  // consume and sequence
  { name: 'batches_total', help: 'Batches applied', read: count('batches') },
  { name: 'records_total', help: 'Records applied', read: count('records') },
  { name: 'rollups_total', help: 'Rollups applied', read: count('rollups') },
  { name: 'readings_total', help: 'Readings in the rollups applied', read: count('readings') },
  { name: 'duplicates_total', help: 'Record numbers that came again and were ignored', read: count('duplicates') },
  {
    name: 'ahead_total',
    help: 'Record numbers that came before their turn and are wanted again',
    read: count('ahead'),
  },
  { name: 'gaps_total', help: 'Record numbers that gateways declared lost', read: count('gaps') },
  { name: 'epochs_total', help: 'Starts of agents that were heard of for the first time', read: count('epochs') },
  {
    name: 'epochs_forgotten_total',
    help: 'Starts of agents no longer remembered',
    labels: ['why'],
    read: byName(
      ({ runner: { partition } }) => [
        ['old', partition.sequence.forgottenOld] as const,
        ['limit', partition.sequence.forgottenAtLimit] as const,
      ],
      (why) => ({ why }),
    ),
  },
  {
    name: 'sources_waiting',
    help: 'Lanes of gateways that must send missing numbers again before they go on',
    labels: ['partition'],
    read: byPartition(({ runner }) => runner.partition.sequence.sourcesWaiting),
  },
  {
    name: 'alarms_total',
    help: 'Times that an alarm of a gateway was raised',
    labels: ['kind', 'cause'],
    read: byName(
      ({ runner }) => runner.partition.alarms.raised,
      (cause) => ({ kind: ALARM_CAUSES[cause].kind, cause }),
    ),
  },
  {
    name: 'alarm_seconds',
    help: 'When an alarm was raised last, Unix time',
    labels: ['site', 'gateway', 'lane', 'cause'],
    read: (view) =>
      view
        .alarms()
        .map(({ site, gateway, lane, cause, lastAt }) => [{ site, gateway, lane, cause }, lastAt / 1_000] as const),
  },
  {
    name: 'floor_messages_total',
    help: 'Floor messages sent to gateways',
    read: ({ floorMessages }) => floorMessages.published,
  },
  {
    name: 'floor_message_failures_total',
    help: 'Floor messages that could not be sent',
    read: ({ floorMessages }) => floorMessages.failed,
  },
  {
    name: 'position',
    help: 'Stream sequence of the last message applied',
    labels: ['partition'],
    read: byPartition(({ runner }) => runner.partition.cursor.position),
  },
  {
    name: 'reader_restarts_total',
    help: 'Times that a partition got a new consumer',
    read: sum(({ reader }) => reader?.restarts ?? 0),
  },
  {
    name: 'stream_moves_total',
    help: 'Times that reading began elsewhere than behind its position',
    labels: ['why'],
    read: byName(
      ({ reader }) => reader?.moves ?? [],
      (why) => ({ why }),
    ),
  },

  // dead letters
  {
    name: 'rejected_batches_total',
    help: 'Messages that could not be used',
    labels: ['reason'],
    read: ({ deadLetters }) =>
      [...(deadLetters?.rejected ?? [])].map(([reason, value]) => [{ reason }, value] as const),
  },
  {
    name: 'dead_letters',
    help: 'Dead letters that wait for a person',
    read: ({ deadLetters }) => deadLetters?.open ?? 0,
  },
  {
    name: 'dead_letter_bytes',
    help: 'Size of the dead letters on the disk',
    read: ({ deadLetters }) => deadLetters?.bytes ?? 0,
  },
  {
    name: 'dead_letters_dropped_total',
    help: 'Dead letters that went because their log was full',
    read: ({ deadLetters }) => deadLetters?.dropped ?? 0,
  },

  // window
  {
    name: 'late_readings_total',
    help: 'Readings behind the seal of their window',
    labels: ['site', 'gateway', 'size'],
    read: byGateway(({ shared }) =>
      [...shared.lateReadings.values()].map(({ site, gateway, size, readings }) => [
        { site, gateway, size: sizeLabel(size) },
        readings,
      ]),
    ),
  },
  {
    name: 'late_windows_forgotten_total',
    help: 'Windows whose count of late readings was forgotten at the limit',
    read: sum(({ runner }) => runner.partition.windows.shared.late.forgotten),
  },
  {
    name: 'late_rollups_waiting',
    help: 'Late rollups that wait for the window which they correct, once per window size',
    read: sum(({ runner }) => runner.partition.windows.lateWindows.rollups),
  },
  {
    name: 'corrections_total',
    help: 'Records whose late readings were merged into a sealed window, once per window',
    read: sum(({ runner }) => runner.partition.windows.lateWindows.corrections),
  },
  {
    name: 'late_rollups_known_total',
    help: 'Late rollups that their window held already',
    read: sum(({ runner }) => runner.partition.windows.lateWindows.known),
  },
  {
    name: 'windows_marked_total',
    help: 'Sealed windows marked incomplete because their gateway declared readings lost afterwards',
    read: sum(({ corrector }) => corrector.marker.windows),
  },
  {
    name: 'losses_unmarked_total',
    help: 'Stretches of lost readings too long to mark the windows that had been sealed',
    read: sum(({ runner }) => runner.partition.windows.shared.lossesTooLong),
  },
  {
    name: 'refused_readings_total',
    help: 'Readings that found no place in a window',
    labels: ['reason'],
    read: byName(
      ({ runner }) => runner.partition.windows.shared.refusedReadings,
      (reason) => ({ reason }),
    ),
  },
  {
    name: 'windows_sealed_early_total',
    help: 'Windows sealed before windows.allowedLatenessSeconds had passed, because a partition had no room for more; late readings correct them',
    read: sum(({ runner }) => runner.partition.windows.shared.sealedEarly),
  },
  {
    name: 'open_windows',
    help: 'Windows that readings may still join',
    labels: ['partition'],
    read: byPartition(({ runner }) => runner.partition.windows.openWindows),
  },
  {
    name: 'gateway_open_windows',
    help: 'Open windows of each gateway',
    labels: ['site', 'gateway'],
    read: byGateway((all) => all.sizes().map(({ site, gateway, windows }) => [{ site, gateway }, windows])),
  },
  {
    name: 'gateway_window_bytes',
    help: 'Memory of the open windows of each gateway',
    labels: ['site', 'gateway'],
    read: byGateway((all) => all.sizes().map(({ site, gateway, bytes }) => [{ site, gateway }, bytes])),
  },
  {
    name: 'watermark_seconds',
    help: 'Watermark of each gateway, Unix time',
    labels: ['site', 'gateway'],
    read: byGateway((all) =>
      all.watermarks().map(({ site, gateway, watermark }) => [{ site, gateway }, inSeconds(watermark)]),
    ),
  },

  // write
  {
    name: 'back_pressure_total',
    help: 'Times that reading stopped because the store was behind',
    read: sum(({ runner }) => runner.backPressure),
  },
  {
    name: 'held_back',
    help: '1 while reading waits for the store',
    labels: ['partition'],
    read: byPartition(({ runner }) => Number(runner.heldBack)),
  },
  {
    name: 'outbox_rows',
    help: 'Rows that the store has not confirmed',
    labels: ['partition'],
    read: byPartition(({ runner }) => runner.partition.outbox.size),
  },
  { name: 'rows_written_total', help: 'Rows that the store confirmed', read: sum(({ writer }) => writer.written) },
  {
    name: 'rows_refused_total',
    help: 'Rows that the store will never take',
    read: sum(({ writer }) => writer.refused),
  },
  {
    name: 'rows_expired_total',
    help: 'Rows left out because they are older than the store keeps rows',
    read: sum(({ writer }) => writer.expired),
  },
  {
    name: 'rows_deleted_total',
    help: 'Rows that the embedded store deleted for their age',
    read: ({ retention }) => retention?.status().deleted,
  },
  {
    name: 'retention_waiting',
    help: '1 while so many rows are due to be deleted for their age that a person has to agree',
    read: ({ retention }) => (retention === undefined ? undefined : Number(retention.status().waits)),
  },
  {
    name: 'store_clock_ahead_seconds',
    help: 'How far the clock of the store server is ahead of the clock of the processor',
    read: ({ storeClockAheadMs }) => inSeconds(storeClockAheadMs),
  },
  {
    name: 'store_failures_total',
    help: 'Requests to the store that failed and were sent again',
    read: sum(({ writer }) => writer.failures),
  },
  {
    name: 'reprocessing',
    help: '1 while `reprocess` works',
    read: ({ reprocessor }) => Number(reprocessor?.status?.state === 'running'),
  },
  { name: 'live_rows_written_total', help: 'Running values written', read: ({ live }) => live.written },
  {
    name: 'live_rows_dropped_total',
    help: 'Running values that the store did not take',
    read: ({ live }) => live.dropped,
  },
  {
    name: 'live_rounds_left_out_total',
    help: 'Rounds of running values left out because the store was slow',
    read: ({ live }) => live.roundsLeftOut,
  },

  // checkpoint
  { name: 'checkpoints_total', help: 'Checkpoints saved', read: sum(({ runner }) => runner.checkpoints.saved) },
  {
    name: 'checkpoint_failures_total',
    help: 'Checkpoints that could not be saved',
    read: sum(({ runner }) => runner.checkpoints.failed),
  },
  {
    name: 'checkpoint_bytes',
    help: 'Size of the last checkpoint',
    labels: ['partition'],
    read: byPartition(({ runner }) => runner.checkpoints.bytes),
  },
  {
    name: 'checkpoint_pause_seconds',
    help: 'How long the last checkpoint held up everything else',
    labels: ['partition'],
    read: byPartition(({ runner }) => runner.checkpoints.pauseMs / 1_000),
  },
  {
    name: 'checkpoint_duration_seconds',
    help: 'How long the last checkpoint took in all',
    labels: ['partition'],
    read: byPartition(({ runner }) => runner.checkpoints.durationMs / 1_000),
  },
  {
    name: 'checkpoint_age_seconds',
    help: 'Time since the last checkpoint was safe; one is saved only when something has changed',
    labels: ['partition'],
    read: byPartition(({ runner: { checkpoints } }) =>
      checkpoints.savedAt === undefined ? undefined : inSeconds(Date.now() - checkpoints.savedAt),
    ),
  },
  {
    name: 'checkpoint_saved_seconds',
    help: 'When the last checkpoint was safe, Unix time',
    labels: ['partition'],
    read: byPartition(({ runner }) => inSeconds(runner.checkpoints.savedAt)),
  },
];

const inSeconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1_000);
