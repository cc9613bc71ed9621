import { gatewayKey, sizeLabel } from '@floorwatch/contracts';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

import { processorLimits } from './limits.ts';
import type { Pipeline } from './pipeline.ts';
import { ALARM_CAUSES, type AlarmCause, alarmView } from './sequence/alarms.ts';

type Labels = Readonly<Record<string, string>>;
type Reading = () => Iterable<readonly [labels: Labels, value: number]>;

const PREFIX = 'floorwatch_processor_';

/**
 * The processor's Prometheus metrics. The parts count in plain fields; these read them when somebody asks, so that nothing on the way
 * of a record knows of metrics.
 */
export function createMetrics(pipeline: Pipeline): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  const registers = [registry];

  const counter = (name: string, help: string, labelNames: string[], read: Reading): void => {
    void new Counter({
      name: `${PREFIX}${name}_total`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc(labels, value);
      },
    });
  };
  const gauge = (name: string, help: string, labelNames: string[], read: Reading): void => {
    void new Gauge({
      name: `${PREFIX}${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.set(labels, value);
      },
    });
  };
  const sum = (of: (lane: Pipeline['lanes'][number]) => number): Reading => {
    return () => [[{}, pipeline.lanes.reduce((total, lane) => total + of(lane), 0)]];
  };
  const perPartition = (of: (lane: Pipeline['lanes'][number]) => number): Reading => {
    return () => pipeline.lanes.map((lane) => [{ partition: String(lane.runner.partition.number) }, of(lane)] as const);
  };
  const counts = (name: keyof Pipeline['lanes'][number]['runner']['partition']['counts']): Reading =>
    sum(({ runner }) => runner.partition.counts[name]);

  counter('batches', 'Batches applied', [], counts('batches'));
  counter('records', 'Records applied', [], counts('records'));
  counter('rollups', 'Rollups applied', [], counts('rollups'));
  counter('readings', 'Readings in the rollups applied', [], counts('readings'));
  counter('duplicates', 'Record numbers that came again and were ignored', [], counts('duplicates'));
  counter('ahead', 'Record numbers that came before their turn and are wanted again', [], counts('ahead'));
  counter('gaps', 'Record numbers that gateways declared lost', [], counts('gaps'));
  counter('epochs', 'Starts of agents that were heard of for the first time', [], counts('epochs'));
  counter('epochs_forgotten', 'Starts of agents no longer remembered', ['why'], () => {
    const total = (why: 'forgottenOld' | 'forgottenAtLimit'): number =>
      pipeline.lanes.reduce((forgotten, { runner }) => forgotten + runner.partition.sequence[why], 0);
    return [
      [{ why: 'old' }, total('forgottenOld')],
      [{ why: 'limit' }, total('forgottenAtLimit')],
    ];
  });
  gauge(
    'sources_waiting',
    'Lanes of gateways that must send missing numbers again before they go on',
    ['partition'],
    perPartition(({ runner }) => runner.partition.sequence.sourcesWaiting),
  );
  counter('alarms', 'Times that an alarm of a gateway was raised', ['kind', 'cause'], () => {
    const raised = new Map<AlarmCause, number>();
    for (const { runner } of pipeline.lanes) {
      for (const [cause, times] of runner.partition.alarms.raised) raised.set(cause, (raised.get(cause) ?? 0) + times);
    }
    return [...raised].map(([cause, times]) => [{ kind: ALARM_CAUSES[cause].kind, cause }, times] as const);
  });
  gauge('alarm_seconds', 'When an alarm was raised last, Unix time', ['site', 'gateway', 'lane', 'cause'], () =>
    pipeline
      .alarms()
      .map(({ site, gateway, lane, cause, lastAt }) => [{ site, gateway, lane, cause }, lastAt / 1_000] as const),
  );
  counter('floor_messages', 'Floor messages sent to gateways', [], () => [[{}, pipeline.floorMessages.published]]);
  counter('floor_message_failures', 'Floor messages that could not be sent', [], () => [
    [{}, pipeline.floorMessages.failed],
  ]);
  counter('rejected_batches', 'Messages that could not be used', ['reason'], () =>
    [...(pipeline.deadLetters?.rejected ?? [])].map(([reason, value]) => [{ reason }, value] as const),
  );
  gauge('dead_letters', 'Dead letters that wait for a person', [], () => [[{}, pipeline.deadLetters?.open ?? 0]]);
  gauge('dead_letter_bytes', 'Size of the dead letters on the disk', [], () => [
    [{}, pipeline.deadLetters?.bytes ?? 0],
  ]);
  counter('dead_letters_dropped', 'Dead letters that went because their log was full', [], () => [
    [{}, pipeline.deadLetters?.dropped ?? 0],
  ]);
  counter('late_readings', 'Readings behind the seal of their window', ['site', 'gateway', 'size'], function* late() {
    for (const { runner } of pipeline.lanes) {
      for (const { site, gateway, size, readings } of runner.partition.windows.shared.lateReadings.values()) {
        yield [{ site, gateway, size: sizeLabel(size) }, readings];
      }
    }
  });
  counter(
    'late_windows_forgotten',
    'Windows whose count of late readings was forgotten at the limit',
    [],
    sum(({ runner }) => runner.partition.windows.shared.late.forgotten),
  );
  gauge(
    'late_rollups_waiting',
    'Late rollups that wait for the window which they correct, once per window size',
    [],
    sum(({ runner }) => runner.partition.windows.lateWindows.rollups),
  );
  counter(
    'corrections',
    'Records whose late readings were merged into a sealed window, once per window',
    [],
    sum(({ runner }) => runner.partition.windows.lateWindows.corrections),
  );
  counter(
    'late_rollups_known',
    'Late rollups that their window held already',
    [],
    sum(({ runner }) => runner.partition.windows.lateWindows.known),
  );
  counter(
    'windows_marked',
    'Sealed windows marked incomplete because their gateway declared readings lost afterwards',
    [],
    sum(({ corrector }) => corrector.marker.windows),
  );
  counter(
    'losses_unmarked',
    'Stretches of lost readings too long to mark the windows that had been sealed',
    [],
    sum(({ runner }) => runner.partition.windows.shared.lossesTooLong),
  );
  counter('refused_readings', 'Readings that found no place in a window', ['reason'], () => {
    const reasons = new Map<string, number>();
    for (const { runner } of pipeline.lanes) {
      for (const [reason, readings] of runner.partition.windows.shared.refusedReadings) {
        reasons.set(reason, (reasons.get(reason) ?? 0) + readings);
      }
    }
    return [...reasons].map(([reason, value]) => [{ reason }, value] as const);
  });
  counter(
    'windows_sealed_early',
    'Windows sealed before windows.allowedLatenessSeconds had passed, because a partition had no room for more; late readings correct them',
    [],
    sum(({ runner }) => runner.partition.windows.shared.sealedEarly),
  );
  gauge(
    'open_windows',
    'Windows that readings may still join',
    ['partition'],
    perPartition(({ runner }) => runner.partition.windows.openWindows),
  );
  const perGateway = (of: 'windows' | 'bytes'): Reading =>
    function* sizes() {
      for (const { runner } of pipeline.lanes) {
        for (const { site, gateway, [of]: value } of runner.partition.windows.sizes()) yield [{ site, gateway }, value];
      }
    };
  gauge('gateway_open_windows', 'Open windows of each gateway', ['site', 'gateway'], perGateway('windows'));
  gauge('gateway_window_bytes', 'Memory of the open windows of each gateway', ['site', 'gateway'], perGateway('bytes'));
  gauge('watermark_seconds', 'Watermark of each gateway, Unix time', ['site', 'gateway'], function* watermarks() {
    for (const { runner } of pipeline.lanes) {
      for (const { site, gateway, watermark } of runner.partition.windows.watermarks()) {
        if (watermark !== undefined) yield [{ site, gateway }, watermark / 1_000];
      }
    }
  });
  gauge(
    'position',
    'Stream sequence of the last message applied',
    ['partition'],
    perPartition(({ runner }) => runner.partition.cursor.position),
  );
  counter(
    'reader_restarts',
    'Times that a partition got a new consumer',
    [],
    sum(({ reader }) => reader?.restarts ?? 0),
  );
  counter('stream_moves', 'Times that reading began elsewhere than behind its position', ['why'], () => {
    const moves = new Map<string, number>();
    for (const { reader } of pipeline.lanes) {
      for (const [why, times] of reader?.moves ?? []) moves.set(why, (moves.get(why) ?? 0) + times);
    }
    return [...moves].map(([why, value]) => [{ why }, value] as const);
  });
  counter(
    'back_pressure',
    'Times that reading stopped because the store was behind',
    [],
    sum(({ runner }) => runner.backPressure),
  );
  gauge(
    'held_back',
    '1 while reading waits for the store',
    ['partition'],
    perPartition(({ runner }) => (runner.heldBack ? 1 : 0)),
  );
  gauge(
    'outbox_rows',
    'Rows that the store has not confirmed',
    ['partition'],
    perPartition(({ runner }) => runner.partition.outbox.size),
  );
  counter(
    'rows_written',
    'Rows that the store confirmed',
    [],
    sum(({ writer }) => writer.written),
  );
  counter(
    'rows_refused',
    'Rows that the store will never take',
    [],
    sum(({ writer }) => writer.refused),
  );
  counter(
    'rows_expired',
    'Rows left out because they are older than the store keeps rows',
    [],
    sum(({ writer }) => writer.expired),
  );
  counter('rows_deleted', 'Rows that the embedded store deleted for their age', [], () =>
    pipeline.retention === undefined ? [] : [[{}, pipeline.retention.status().deleted]],
  );
  gauge(
    'retention_waiting',
    '1 while so many rows are due to be deleted for their age that a person has to agree',
    [],
    () => (pipeline.retention === undefined ? [] : [[{}, Number(pipeline.retention.status().waits)]]),
  );
  gauge(
    'store_clock_ahead_seconds',
    'How far the clock of the store server is ahead of the clock of the processor',
    [],
    () => (pipeline.storeClockAheadMs === undefined ? [] : [[{}, pipeline.storeClockAheadMs / 1_000]]),
  );
  counter(
    'store_failures',
    'Requests to the store that failed and were sent again',
    [],
    sum(({ writer }) => writer.failures),
  );
  gauge('reprocessing', '1 while `reprocess` works', [], () => [
    [{}, pipeline.reprocessor?.status?.state === 'running' ? 1 : 0],
  ]);
  counter('live_rows_written', 'Running values written', [], () => [[{}, pipeline.live.written]]);
  counter('live_rows_dropped', 'Running values that the store did not take', [], () => [[{}, pipeline.live.dropped]]);
  counter('live_rounds_left_out', 'Rounds of running values left out because the store was slow', [], () => [
    [{}, pipeline.live.roundsLeftOut],
  ]);
  counter(
    'checkpoints',
    'Checkpoints saved',
    [],
    sum(({ runner }) => runner.checkpoints.saved),
  );
  counter(
    'checkpoint_failures',
    'Checkpoints that could not be saved',
    [],
    sum(({ runner }) => runner.checkpoints.failed),
  );
  gauge(
    'checkpoint_bytes',
    'Size of the last checkpoint',
    ['partition'],
    perPartition(({ runner }) => runner.checkpoints.bytes),
  );
  gauge(
    'checkpoint_pause_seconds',
    'How long the last checkpoint held up everything else',
    ['partition'],
    perPartition(({ runner }) => runner.checkpoints.pauseMs / 1_000),
  );
  gauge(
    'checkpoint_duration_seconds',
    'How long the last checkpoint took in all',
    ['partition'],
    perPartition(({ runner }) => runner.checkpoints.durationMs / 1_000),
  );
  gauge(
    'checkpoint_age_seconds',
    'Time since the last checkpoint was safe; one is saved only when something has changed',
    ['partition'],
    function* ages() {
      for (const { runner } of pipeline.lanes) {
        const { savedAt } = runner.checkpoints;
        const age = (Date.now() - (savedAt ?? 0)) / 1_000;
        if (savedAt !== undefined) yield [{ partition: String(runner.partition.number) }, age];
      }
    },
  );
  gauge('checkpoint_saved_seconds', 'When the last checkpoint was safe, Unix time', ['partition'], function* saved() {
    for (const { runner } of pipeline.lanes) {
      const { savedAt } = runner.checkpoints;
      if (savedAt !== undefined) yield [{ partition: String(runner.partition.number) }, savedAt / 1_000];
    }
  });
  return registry;
}

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
