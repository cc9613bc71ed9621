import { LANES } from '@floorwatch/contracts';
import type { Metric } from '@floorwatch/runtime';

import type { SenderAlarm } from '../uplink/spool-sender.ts';
import type { AgentView, LaneView } from './agent-view.ts';

type Read = Metric<AgentView>['read'];

const byLane = (value: (lane: LaneView) => number | undefined): Read => {
  return ({ lanes }) => LANES.map((lane) => [{ lane }, value(lanes[lane])]);
};

type Counts = Readonly<Record<string, number>>;

/** See {@link SenderAlarm}. */
const ALARM_KINDS = ['identity', 'trimmed', 'stuck'] as const satisfies readonly SenderAlarm['kind'][];

const alarms = ({ lanes }: AgentView): Counts =>
  Object.fromEntries(
    ALARM_KINDS.map((kind) => [
      kind,
      LANES.filter((lane) => lanes[lane].alarms.some((alarm) => alarm.kind === kind)).length,
    ]),
  );

const floorMessages = ({ floorMessages: { heard, outdated, malformed } }: AgentView): Counts => ({
  heard,
  outdated,
  malformed,
});

const door = ({ broker }: AgentView): Counts =>
  Object.fromEntries(Object.entries(broker.door ?? {}).map(([reason, { count }]) => [reason, count]));

/** Milliseconds in seconds. */
const seconds = (ms: number | null | undefined): number | undefined =>
  ms === null || ms === undefined ? undefined : ms / 1_000;

const byKind = (label: string, counts: (view: AgentView) => Counts): Read => {
  return (view) => Object.entries(counts(view)).map(([kind, count]) => [{ [label]: kind }, count]);
};

/** The agent's metrics, but for how long commits took. */
export const METRICS: readonly Metric<AgentView>[] = [
  {
    name: 'readings_received_total',
    help: 'What arrived: accepted, rejected, duplicates, quarantined and retained copies',
    read: (v) => v.readings.received,
  },
  { name: 'readings_accepted_total', help: 'Readings accepted', read: (v) => v.readings.accepted },
  {
    name: 'readings_duplicate_total',
    help: 'Repeats of readings that were safe already',
    read: (v) => v.readings.duplicates,
  },
  {
    name: 'clients_remembered',
    help: 'Clients whose last messages are remembered, to know their repeats',
    read: (v) => v.readings.clients,
  },
  {
    name: 'clients_forgotten_total',
    help: 'Clients whose messages were forgotten because there were too many',
    read: (v) => v.readings.clientsForgotten,
  },
  {
    name: 'readings_released_total',
    help: 'Readings released from quarantine, received once more',
    read: (v) => v.readings.released,
  },
  {
    name: 'readings_retained_copies_total',
    help: 'Copies that an external broker kept',
    read: (v) => v.readings.retainedCopies,
  },
  {
    name: 'readings_out_of_order_total',
    help: 'Accepted, but older than the sensor’s newest',
    read: (v) => v.readings.outOfOrder,
  },
  { name: 'episodes_opened_total', help: 'Anomaly episodes opened', read: (v) => v.episodes.opened },
  { name: 'episodes_closed_total', help: 'Anomaly episodes closed', read: (v) => v.episodes.closed },
  { name: 'sensors', help: 'Sensors seen', read: (v) => v.sensors },
  { name: 'sensors_max', help: 'Sensors that the configuration allows', read: (v) => v.sensorsMax },
  { name: 'start_time_seconds', help: 'When the agent started, seconds since 1970', read: (v) => v.startedAt / 1_000 },
  {
    name: 'epoch_ordinal',
    help: 'Which start of this gateway’s agent it is',
    read: (v) => Number(v.epoch.split('-')[0]),
  },
  {
    name: 'broker_ready',
    help: '1: the MQTT broker is listening, or connected to',
    read: (v) => Number(v.broker.ready),
  },
  {
    name: 'broker_connections',
    help: 'Devices connected to the embedded broker',
    read: (v) => v.broker.connections ?? 0,
  },
  {
    name: 'broker_connections_max',
    help: 'Connections that the embedded broker takes',
    read: (v) => v.broker.connectionsMax,
  },
  { name: 'broker_pending', help: 'Messages received and not yet in the pipeline', read: (v) => v.broker.pending },
  { name: 'broker_held', help: '1: reading from the network waits for room', read: (v) => Number(v.broker.held) },
  { name: 'nats_connected', help: '1: connected to NATS', read: (v) => Number(v.nats.connected) },
  {
    name: 'nats_since_timestamp_seconds',
    help: 'Since when NATS is connected or not, seconds since 1970',
    read: (v) => v.nats.since / 1_000,
  },
  {
    name: 'clock_unsynchronised',
    help: '1: the clock is known to be wrong',
    read: (v) => Number(v.clock === 'unsynchronised'),
  },
  {
    name: 'clock_synchronised',
    help: '1: the clock is known to be right',
    read: (v) => Number(v.clock === 'synchronised'),
  },
  { name: 'troubles', help: 'What a person should look at', read: (v) => v.troubles.length },
  { name: 'refusing', help: '1: no readings are taken', read: (v) => Number(v.refusing !== null) },
  { name: 'journal_bytes', help: 'Bytes of the journal', read: (v) => v.journal.bytes },
  { name: 'journal_bytes_max', help: 'Bytes that the journal may have', read: (v) => v.journal.bytesMax },
  { name: 'journal_items', help: 'Items in the journal', read: (v) => v.journal.items },
  {
    name: 'journal_oldest_timestamp_seconds',
    help: 'When the oldest item came, seconds since 1970',
    read: (v) => seconds(v.journal.oldestAt),
  },
  { name: 'journal_commits_total', help: 'Commits to the journal', read: (v) => v.journal.counts.commits },
  { name: 'journal_refused_total', help: 'Items that could not be appended', read: (v) => v.journal.counts.refused },
  {
    name: 'journal_sync_failures_total',
    help: 'Syncs of the journal that failed',
    read: (v) => v.journal.counts.syncFailures,
  },
  { name: 'journal_damaged', help: 'Items that could not be read at the start', read: (v) => v.journal.damaged },
  { name: 'replay_items', help: 'Items read again at the start', read: (v) => v.journal.replay.items },
  { name: 'replay_seconds', help: 'Time that reading again took', read: (v) => seconds(v.journal.replay.durationMs) },
  { name: 'replay_running', help: '1: still reading again', read: (v) => Number(v.journal.replay.state === 'running') },
  {
    name: 'snapshot_timestamp_seconds',
    help: 'When the newest snapshot was taken, seconds since 1970',
    read: (v) => seconds(v.snapshot.at),
  },
  { name: 'snapshot_bytes', help: 'Bytes of the newest snapshot', read: (v) => v.snapshot.bytes },
  {
    name: 'snapshot_duration_seconds',
    help: 'From its beginning until it was safe',
    read: (v) => seconds(v.snapshot.durationMs),
  },
  {
    name: 'snapshot_pause_seconds',
    help: 'How long the pipeline stood still for it',
    read: (v) => seconds(v.snapshot.pauseMs),
  },
  { name: 'snapshot_failures_total', help: 'Snapshots that failed', read: (v) => v.snapshot.failures },
  { name: 'quarantine_readings', help: 'Readings in the quarantine', read: (v) => v.quarantine.items },
  { name: 'quarantine_bytes', help: 'Bytes of the quarantine', read: (v) => v.quarantine.bytes },
  {
    name: 'quarantine_dropped_total',
    help: 'Readings that went because the quarantine was full',
    read: (v) => v.quarantine.dropped,
  },

  {
    name: 'records_spooled_total',
    help: 'Records put into the spool',
    labels: ['lane'],
    read: byLane((l) => l.recordsSpooled),
  },
  {
    name: 'records_acknowledged_total',
    help: 'Records that JetStream acknowledged',
    labels: ['lane'],
    read: byLane((l) => l.recordsAcknowledged),
  },
  {
    name: 'batches_acknowledged_total',
    help: 'Batches that JetStream acknowledged',
    labels: ['lane'],
    read: byLane((l) => l.batchesAcknowledged),
  },
  {
    name: 'bytes_acknowledged_total',
    help: 'Bytes of the batches that JetStream acknowledged',
    labels: ['lane'],
    read: byLane((l) => l.bytesAcknowledged),
  },
  {
    name: 'send_failures_total',
    help: 'Attempts to send a batch that were not acknowledged',
    labels: ['lane'],
    read: byLane((l) => l.failures),
  },
  {
    name: 'spool_records',
    help: 'Records that NATS does not have yet',
    labels: ['lane'],
    read: byLane((l) => l.recordsWaiting),
  },
  { name: 'spool_bytes', help: 'Bytes of the lane', labels: ['lane'], read: byLane((l) => l.bytes) },
  { name: 'spool_bytes_max', help: 'Bytes that the lane may hold', labels: ['lane'], read: byLane((l) => l.bytesMax) },
  {
    name: 'spool_oldest_unsent_timestamp_seconds',
    help: 'When the oldest unsent record was made',
    labels: ['lane'],
    read: byLane((l) => seconds(l.oldestUnsentAt)),
  },
  {
    name: 'spool_last_number',
    help: 'Number of the newest record in its epoch',
    labels: ['lane'],
    read: byLane((l) => l.lastNumber),
  },
  { name: 'spool_commits_total', help: 'Commits to the lane', labels: ['lane'], read: byLane((l) => l.counts.commits) },
  {
    name: 'spool_sync_failures_total',
    help: 'Syncs of the lane that failed',
    labels: ['lane'],
    read: byLane((l) => l.counts.syncFailures),
  },
  {
    name: 'uncommitted_bytes',
    help: 'Bytes sent and not yet safe in the cloud',
    labels: ['lane'],
    read: byLane((l) => l.uncommittedBytes),
  },
  {
    name: 'uncommitted_bytes_max',
    help: 'Bytes at which sending waits',
    labels: ['lane'],
    read: byLane((l) => l.uncommittedBytesMax ?? undefined),
  },
  {
    name: 'floor_number',
    help: 'Number up to which the cloud is safe, in its epoch',
    labels: ['lane'],
    read: byLane((l) => l.floor?.floor),
  },
  {
    name: 'floor_heard_timestamp_seconds',
    help: 'When the cloud said so last, seconds since 1970',
    labels: ['lane'],
    read: byLane((l) => seconds(l.floor?.heardAt)),
  },
  {
    name: 'records_dropped_total',
    help: 'Records dropped unsent because there was no room',
    labels: ['lane'],
    read: byLane((l) => l.recordsDropped),
  },
  {
    name: 'records_damaged',
    help: 'Records that could not be read at the start',
    labels: ['lane'],
    read: byLane((l) => l.recordsDamaged),
  },
  {
    name: 'floors_refused_total',
    help: 'Floors that could not be true: more than was sent',
    labels: ['lane'],
    read: byLane((l) => l.floorsRefused),
  },
  { name: 'rewinds_total', help: 'Times that sending went back', labels: ['lane'], read: byLane((l) => l.rewinds) },
  {
    name: 'gaps_sent_total',
    help: 'Gaps sent in the place of lost records',
    labels: ['lane'],
    read: byLane((l) => l.gapsSent),
  },

  {
    name: 'readings_rejected_total',
    help: 'Readings that were not taken, messages that hold none, and fields that were refused by themselves',
    labels: ['reason'],
    read: byKind('reason', (v) => v.readings.rejectedByReason),
  },
  {
    name: 'readings_quarantined_total',
    help: 'Readings kept apart because of their time',
    labels: ['reason'],
    read: byKind('reason', (v) => v.readings.quarantinedByReason),
  },
  {
    name: 'readings_refused_total',
    help: 'Messages that could not be kept and will come again',
    labels: ['reason'],
    read: byKind('reason', (v) => v.readings.refusedByReason),
  },
  {
    name: 'floor_messages_total',
    help: 'Floor messages, by what became of them',
    labels: ['what'],
    read: byKind('what', floorMessages),
  },
  {
    name: 'broker_door_total',
    help: 'What the embedded broker refused, dropped or closed',
    labels: ['reason'],
    read: byKind('reason', door),
  },
  { name: 'alarms', help: 'Lanes whose alarm is on', labels: ['kind'], read: byKind('kind', alarms) },
];
