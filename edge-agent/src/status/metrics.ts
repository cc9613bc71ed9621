import { LANES } from '@floorwatch/contracts';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

import type { AgentView, LaneView } from './agent-view.ts';
import type { CommitTimes } from './commit-times.ts';

const PREFIX = 'floorwatch_agent_';

/** Undefined: not known yet, so that there is no sample. */
type Value = (view: AgentView) => number | undefined;
type LaneValue = (lane: LaneView) => number | undefined;
type LaneCounts = (lane: LaneView) => Readonly<Record<string, number>> | undefined;

/** Metrics without labels: name, meaning, value. Names of counters end in `_total`. */
const PLAIN: readonly (readonly [string, string, Value])[] = [
  [
    'readings_received_total',
    'What arrived: accepted, rejected, duplicates, quarantined and retained copies',
    (v) => v.readings.received,
  ],
  ['readings_accepted_total', 'Readings accepted', (v) => v.readings.accepted],
  ['readings_duplicate_total', 'Repeats of readings that were safe already', (v) => v.readings.duplicates],
  ['readings_quarantined_total', 'Readings kept apart because of their time', (v) => v.readings.quarantined],
  ['readings_retained_copies_total', 'Copies that an external broker kept', (v) => v.readings.retainedCopies],
  ['readings_out_of_order_total', 'Accepted, but older than the sensor’s newest', (v) => v.readings.outOfOrder],
  ['episodes_opened_total', 'Anomaly episodes opened', (v) => v.episodes.opened],
  ['episodes_closed_total', 'Anomaly episodes closed', (v) => v.episodes.closed],
  ['sensors', 'Sensors seen', (v) => v.sensors],
  ['sensors_max', 'Sensors that the configuration allows', (v) => v.sensorsMax],
  ['start_time_seconds', 'When the agent started, seconds since 1970', (v) => v.startedAt / 1_000],
  ['broker_ready', '1: the MQTT broker is listening, or connected to', (v) => Number(v.broker.ready)],
  ['broker_connections', 'Devices connected to the embedded broker', (v) => v.broker.connections ?? 0],
  ['broker_pending', 'Messages received and not yet in the pipeline', (v) => v.broker.pending],
  ['broker_held', '1: reading from the network waits for room', (v) => Number(v.broker.held)],
  ['nats_connected', '1: connected to NATS', (v) => Number(v.nats.connected)],
  ['nats_since_seconds', 'Since when NATS is connected or not, seconds since 1970', (v) => v.nats.since / 1_000],
  ['clock_unsynchronised', '1: the clock is known to be wrong', (v) => Number(v.clock === 'unsynchronised')],
  ['clock_synchronised', '1: the clock is known to be right', (v) => Number(v.clock === 'synchronised')],
  ['troubles', 'What a person should look at', (v) => v.troubles.length],
  ['refusing', '1: no readings are taken', (v) => flag(v.refusing, (refusing) => refusing !== null)],
  ['journal_bytes', 'Bytes of the journal', (v) => v.journal?.bytes],
  ['journal_bytes_max', 'Bytes that the journal may have', (v) => v.journal?.bytesMax],
  ['journal_items', 'Items in the journal', (v) => v.journal?.items],
  ['journal_oldest_seconds', 'When the oldest item came, seconds since 1970', (v) => seconds(v.journal?.oldestAt)],
  ['journal_commits_total', 'Commits to the journal', (v) => v.journal?.commits],
  ['journal_refused_total', 'Items that could not be appended', (v) => v.journal?.refused],
  ['journal_sync_failures_total', 'Syncs of the journal that failed', (v) => v.journal?.syncFailures],
  ['journal_damaged', 'Items that could not be read at the start', (v) => v.journal?.damaged],
  ['replay_items', 'Items read again at the start', (v) => v.journal?.replay.items],
  ['replay_seconds', 'Time that reading again took', (v) => seconds(v.journal?.replay.durationMs)],
  ['replay_running', '1: still reading again', (v) => flag(v.journal, ({ replay }) => replay.state === 'running')],
  ['snapshot_seconds', 'When the newest snapshot was taken, seconds since 1970', (v) => seconds(v.snapshot?.at)],
  ['snapshot_bytes', 'Bytes of the newest snapshot', (v) => v.snapshot?.bytes],
  ['snapshot_duration_seconds', 'From its beginning until it was safe', (v) => seconds(v.snapshot?.durationMs)],
  ['snapshot_pause_seconds', 'How long the pipeline stood still for it', (v) => seconds(v.snapshot?.pauseMs)],
  ['snapshot_failures_total', 'Snapshots that failed', (v) => v.snapshot?.failures],
  ['quarantine_readings', 'Readings in the quarantine', (v) => v.quarantine?.items],
  ['quarantine_bytes', 'Bytes of the quarantine', (v) => v.quarantine?.bytes],
];

/** Milliseconds in seconds. */
const seconds = (ms: number | null | undefined): number | undefined =>
  ms === null || ms === undefined ? undefined : ms / 1_000;

const flag = <T>(part: T | undefined, test: (part: T) => boolean): number | undefined =>
  part === undefined ? undefined : Number(test(part));

/** Metrics with a value for each lane. */
const BY_LANE: readonly (readonly [string, string, LaneValue])[] = [
  ['records_spooled_total', 'Records put into the spool', (l) => l.recordsSpooled],
  ['records_acknowledged_total', 'Records that JetStream acknowledged', (l) => l.recordsAcknowledged],
  ['batches_acknowledged_total', 'Batches that JetStream acknowledged', (l) => l.batchesAcknowledged],
  ['bytes_acknowledged_total', 'Bytes of the batches that JetStream acknowledged', (l) => l.bytesAcknowledged],
  ['send_failures_total', 'Attempts to send a batch that were not acknowledged', (l) => l.failures],
  ['spool_records', 'Records that NATS does not have yet', (l) => l.recordsWaiting],
  ['spool_bytes', 'Bytes of the lane', (l) => l.bytes],
  ['spool_bytes_max', 'Bytes that the lane may hold', (l) => l.bytesMax],
  ['spool_oldest_unsent_seconds', 'When the oldest unsent record was made', (l) => seconds(l.progress?.oldestUnsentAt)],
  ['spool_last_number', 'Number of the newest record in its epoch', (l) => l.progress?.lastNumber],
  ['spool_commits_total', 'Commits to the lane', (l) => l.progress?.commits],
  ['spool_sync_failures_total', 'Syncs of the lane that failed', (l) => l.progress?.syncFailures],
  ['uncommitted_bytes', 'Bytes sent and not yet safe in the cloud', (l) => l.progress?.uncommittedBytes],
  ['uncommitted_bytes_max', 'Bytes at which sending waits', (l) => l.progress?.uncommittedBytesMax ?? undefined],
  ['floor_number', 'Number up to which the cloud is safe, in its epoch', (l) => l.progress?.floor?.floor],
  [
    'floor_heard_seconds',
    'When the cloud said so last, seconds since 1970',
    (l) => seconds(l.progress?.floor?.heardAt),
  ],
  ['rewinds_total', 'Times that sending went back', (l) => l.progress?.rewinds],
  ['gaps_sent_total', 'Gaps sent in the place of lost records', (l) => l.progress?.gapsSent],
];

/** Metrics with a value for each lane and kind of thing. */
const BY_LANE_AND: readonly (readonly [string, string, string, LaneCounts])[] = [
  ['records_dropped_total', 'reason', 'Records lost for good', (l) => l.progress?.droppedByReason],
  [
    'alarms',
    'kind',
    '1: this alarm is on',
    ({ progress }) =>
      progress && {
        identity: Number(progress.alarms.some(({ kind }) => kind === 'identity')),
        trimmed: Number(progress.alarms.some(({ kind }) => kind === 'trimmed')),
      },
  ],
];

/** The agent's metrics for Prometheus. Values are taken when someone asks, so that counting costs the pipeline nothing. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #setters: ((view: AgentView) => void)[] = [];

  /** @param commitTimes how long commits took, if something measures it. */
  constructor(commitTimes?: CommitTimes) {
    if (commitTimes !== undefined) this.#registry.registerMetric(commitTimes.histogram);
    collectDefaultMetrics({ register: this.#registry, prefix: PREFIX });
    for (const [name, help, value] of PLAIN) {
      const set = this.#define(name, help, []);
      this.#setters.push((view) => set({}, value(view)));
    }
    for (const [name, help, value] of BY_LANE) {
      const set = this.#define(name, help, ['lane']);
      this.#setters.push((view) => LANES.forEach((lane) => set({ lane }, value(view.lanes[lane]))));
    }
    for (const [name, label, help, counts] of BY_LANE_AND) {
      const set = this.#define(name, help, ['lane', label]);
      this.#setters.push((view) => {
        for (const lane of LANES) {
          for (const [key, count] of Object.entries(counts(view.lanes[lane]) ?? {})) set({ lane, [label]: key }, count);
        }
      });
    }
    const setRejected = this.#define('readings_rejected_total', 'Messages that became no reading', ['reason']);
    const setRefused = this.#define('readings_refused_total', 'Readings whose devices got no answer', ['reason']);
    this.#setters.push(({ readings }) => {
      for (const [reason, count] of Object.entries(readings.rejectedByReason)) setRejected({ reason }, count);
      for (const [reason, count] of Object.entries(readings.refusedByReason ?? {})) setRefused({ reason }, count);
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text that Prometheus reads. */
  async render(view: AgentView): Promise<string> {
    for (const set of this.#setters) set(view);
    return this.#registry.metrics();
  }

  /** Counters are kept by the pipeline; here they only take the value that they have there. */
  #define(name: string, help: string, labelNames: readonly string[]): Setter {
    const options = { name: PREFIX + name, help, labelNames: [...labelNames], registers: [this.#registry] };
    if (!name.endsWith('_total')) {
      const gauge = new Gauge(options);
      // A gauge without labels begins at 0, which nobody has measured.
      gauge.remove({});
      return (labels, value) => (value === undefined ? gauge.remove(labels) : gauge.set(labels, value));
    }
    const counter = new Counter(options);
    counter.remove({});
    return (labels, value) => {
      counter.remove(labels);
      if (value !== undefined) counter.inc(labels, value);
    };
  }
}

type Setter = (labels: Record<string, string>, value: number | undefined) => void;
