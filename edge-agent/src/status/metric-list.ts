import { LANES } from '@floorwatch/contracts';

import type { SenderAlarm } from '../uplink/spool-sender.ts';
import type { AgentView, LaneView } from './agent-view.ts';

/** Undefined: not known yet, so that there is no sample. */
export type Value = (view: AgentView) => number | undefined;
export type LaneValue = (lane: LaneView) => number | undefined;

/** Metrics without labels: name, meaning, value. Names of counters end in `_total`. */
export const PLAIN: readonly (readonly [name: string, help: string, value: Value])[] = [
  [
    'readings_received_total',
    'What arrived: accepted, rejected, duplicates, quarantined and retained copies',
    (v) => v.readings.received,
  ],
  ['readings_accepted_total', 'Readings accepted', (v) => v.readings.accepted],
  ['readings_duplicate_total', 'Repeats of readings that were safe already', (v) => v.readings.duplicates],
  [
    'clients_remembered',
    'Clients whose last messages are remembered, to know their repeats',
    (v) => v.readings.clients,
  ],
  [
    'clients_forgotten_total',
    'Clients whose messages were forgotten because there were too many',
    (v) => v.readings.clientsForgotten,
  ],
  ['readings_released_total', 'Readings released from quarantine, received once more', (v) => v.readings.released],
  ['readings_retained_copies_total', 'Copies that an external broker kept', (v) => v.readings.retainedCopies],
  ['readings_out_of_order_total', 'Accepted, but older than the sensor’s newest', (v) => v.readings.outOfOrder],
  ['episodes_opened_total', 'Anomaly episodes opened', (v) => v.episodes.opened],
  ['episodes_closed_total', 'Anomaly episodes closed', (v) => v.episodes.closed],
  ['sensors', 'Sensors seen', (v) => v.sensors],
  ['sensors_max', 'Sensors that the configuration allows', (v) => v.sensorsMax],
  ['start_time_seconds', 'When the agent started, seconds since 1970', (v) => v.startedAt / 1_000],
  ['epoch_ordinal', 'Which start of this gateway’s agent it is', (v) => Number(v.epoch.split('-')[0])],
  ['broker_ready', '1: the MQTT broker is listening, or connected to', (v) => Number(v.broker.ready)],
  ['broker_connections', 'Devices connected to the embedded broker', (v) => v.broker.connections ?? 0],
  ['broker_connections_max', 'Connections that the embedded broker takes', (v) => v.broker.connectionsMax],
  ['broker_pending', 'Messages received and not yet in the pipeline', (v) => v.broker.pending],
  ['broker_held', '1: reading from the network waits for room', (v) => Number(v.broker.held)],
  ['nats_connected', '1: connected to NATS', (v) => Number(v.nats.connected)],
  [
    'nats_since_timestamp_seconds',
    'Since when NATS is connected or not, seconds since 1970',
    (v) => v.nats.since / 1_000,
  ],
  ['clock_unsynchronised', '1: the clock is known to be wrong', (v) => Number(v.clock === 'unsynchronised')],
  ['clock_synchronised', '1: the clock is known to be right', (v) => Number(v.clock === 'synchronised')],
  ['troubles', 'What a person should look at', (v) => v.troubles.length],
  ['refusing', '1: no readings are taken', (v) => Number(v.refusing !== null)],
  ['journal_bytes', 'Bytes of the journal', (v) => v.journal.bytes],
  ['journal_bytes_max', 'Bytes that the journal may have', (v) => v.journal.bytesMax],
  ['journal_items', 'Items in the journal', (v) => v.journal.items],
  [
    'journal_oldest_timestamp_seconds',
    'When the oldest item came, seconds since 1970',
    (v) => seconds(v.journal.oldestAt),
  ],
  ['journal_commits_total', 'Commits to the journal', (v) => v.journal.counts.commits],
  ['journal_refused_total', 'Items that could not be appended', (v) => v.journal.counts.refused],
  ['journal_sync_failures_total', 'Syncs of the journal that failed', (v) => v.journal.counts.syncFailures],
  ['journal_damaged', 'Items that could not be read at the start', (v) => v.journal.damaged],
  ['replay_items', 'Items read again at the start', (v) => v.journal.replay.items],
  ['replay_seconds', 'Time that reading again took', (v) => seconds(v.journal.replay.durationMs)],
  ['replay_running', '1: still reading again', (v) => Number(v.journal.replay.state === 'running')],
  [
    'snapshot_timestamp_seconds',
    'When the newest snapshot was taken, seconds since 1970',
    (v) => seconds(v.snapshot.at),
  ],
  ['snapshot_bytes', 'Bytes of the newest snapshot', (v) => v.snapshot.bytes],
  ['snapshot_duration_seconds', 'From its beginning until it was safe', (v) => seconds(v.snapshot.durationMs)],
  ['snapshot_pause_seconds', 'How long the pipeline stood still for it', (v) => seconds(v.snapshot.pauseMs)],
  ['snapshot_failures_total', 'Snapshots that failed', (v) => v.snapshot.failures],
  ['quarantine_readings', 'Readings in the quarantine', (v) => v.quarantine.items],
  ['quarantine_bytes', 'Bytes of the quarantine', (v) => v.quarantine.bytes],
  ['quarantine_dropped_total', 'Readings that went because the quarantine was full', (v) => v.quarantine.dropped],
];

/** Milliseconds in seconds. */
const seconds = (ms: number | null | undefined): number | undefined =>
  ms === null || ms === undefined ? undefined : ms / 1_000;

/** Metrics with a value for each lane. */
export const BY_LANE: readonly (readonly [name: string, help: string, value: LaneValue])[] = [
  ['records_spooled_total', 'Records put into the spool', (l) => l.recordsSpooled],
  ['records_acknowledged_total', 'Records that JetStream acknowledged', (l) => l.recordsAcknowledged],
  ['batches_acknowledged_total', 'Batches that JetStream acknowledged', (l) => l.batchesAcknowledged],
  ['bytes_acknowledged_total', 'Bytes of the batches that JetStream acknowledged', (l) => l.bytesAcknowledged],
  ['send_failures_total', 'Attempts to send a batch that were not acknowledged', (l) => l.failures],
  ['spool_records', 'Records that NATS does not have yet', (l) => l.recordsWaiting],
  ['spool_bytes', 'Bytes of the lane', (l) => l.bytes],
  ['spool_bytes_max', 'Bytes that the lane may hold', (l) => l.bytesMax],
  ['spool_oldest_unsent_timestamp_seconds', 'When the oldest unsent record was made', (l) => seconds(l.oldestUnsentAt)],
  ['spool_last_number', 'Number of the newest record in its epoch', (l) => l.lastNumber],
  ['spool_commits_total', 'Commits to the lane', (l) => l.counts.commits],
  ['spool_sync_failures_total', 'Syncs of the lane that failed', (l) => l.counts.syncFailures],
  ['uncommitted_bytes', 'Bytes sent and not yet safe in the cloud', (l) => l.uncommittedBytes],
  ['uncommitted_bytes_max', 'Bytes at which sending waits', (l) => l.uncommittedBytesMax ?? undefined],
  ['floor_number', 'Number up to which the cloud is safe, in its epoch', (l) => l.floor?.floor],
  [
    'floor_heard_timestamp_seconds',
    'When the cloud said so last, seconds since 1970',
    (l) => seconds(l.floor?.heardAt),
  ],
  ['records_dropped_total', 'Records dropped unsent because there was no room', (l) => l.recordsDropped],
  ['records_damaged', 'Records that could not be read at the start', (l) => l.recordsDamaged],
  ['floors_refused_total', 'Floors that could not be true: more than was sent', (l) => l.floorsRefused],
  ['rewinds_total', 'Times that sending went back', (l) => l.rewinds],
  ['gaps_sent_total', 'Gaps sent in the place of lost records', (l) => l.gapsSent],
];

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

/** Metrics with a value for each of a fixed list of things. */
export const BY_KIND: readonly (readonly [
  name: string,
  label: string,
  help: string,
  counts: (view: AgentView) => Counts,
])[] = [
  [
    'readings_rejected_total',
    'reason',
    'Readings that were not taken, messages that hold none, and fields that were refused by themselves',
    (v) => v.readings.rejectedByReason,
  ],
  [
    'readings_quarantined_total',
    'reason',
    'Readings kept apart because of their time',
    (v) => v.readings.quarantinedByReason,
  ],
  [
    'readings_refused_total',
    'reason',
    'Messages that could not be kept and will come again',
    (v) => v.readings.refusedByReason,
  ],
  ['floor_messages_total', 'what', 'Floor messages, by what became of them', floorMessages],
  ['broker_door_total', 'reason', 'What the embedded broker refused, dropped or closed', door],
  ['alarms', 'kind', 'Lanes whose alarm is on', alarms],
];
