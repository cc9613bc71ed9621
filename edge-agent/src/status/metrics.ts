import { LANES } from '@floorwatch/contracts';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

import type { AgentView, LaneView } from './agent-view.ts';

const PREFIX = 'floorwatch_agent_';

type Value = (view: AgentView) => number;
type LaneValue = (lane: LaneView) => number;

/** Metrics without labels: name, meaning, value. Names of counters end in `_total`. */
const PLAIN: readonly (readonly [string, string, Value])[] = [
  ['readings_received_total', 'Messages received: accepted, rejected and retained copies', (v) => v.readings.received],
  ['readings_accepted_total', 'Messages that became readings', (v) => v.readings.accepted],
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
  ['clock_unsynchronised', '1: the clock is known to be wrong', (v) => Number(v.clock === 'unsynchronised')],
];

/** Metrics with a value for each lane. */
const BY_LANE: readonly (readonly [string, string, LaneValue])[] = [
  ['records_spooled_total', 'Records put into the spool', (l) => l.recordsSpooled],
  ['records_acknowledged_total', 'Records that JetStream acknowledged', (l) => l.recordsAcknowledged],
  ['batches_acknowledged_total', 'Batches that JetStream acknowledged', (l) => l.batchesAcknowledged],
  ['bytes_acknowledged_total', 'Bytes of the batches that JetStream acknowledged', (l) => l.bytesAcknowledged],
  ['send_failures_total', 'Attempts to send a batch that were not acknowledged', (l) => l.failures],
  ['spool_records', 'Records that NATS does not have yet', (l) => l.recordsWaiting],
  ['spool_bytes', 'Bytes of records that NATS does not have yet', (l) => l.bytes],
  ['spool_bytes_max', 'Bytes that the lane may hold', (l) => l.bytesMax],
];

/** The agent's metrics for Prometheus. Values are taken when someone asks, so that counting costs the pipeline nothing. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #setters: ((view: AgentView) => void)[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.#registry, prefix: PREFIX });
    for (const [name, help, value] of PLAIN) {
      const set = this.#define(name, help, []);
      this.#setters.push((view) => set({}, value(view)));
    }
    for (const [name, help, value] of BY_LANE) {
      const set = this.#define(name, help, ['lane']);
      this.#setters.push((view) => LANES.forEach((lane) => set({ lane }, value(view.lanes[lane]))));
    }
    const setRejected = this.#define('readings_rejected_total', 'Messages that became no reading', ['reason']);
    this.#setters.push(({ readings }) => {
      for (const [reason, count] of Object.entries(readings.rejectedByReason)) setRejected({ reason }, count);
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
  #define(
    name: string,
    help: string,
    labelNames: readonly string[],
  ): (labels: Record<string, string>, value: number) => void {
    const options = { name: PREFIX + name, help, labelNames: [...labelNames], registers: [this.#registry] };
    if (!name.endsWith('_total')) {
      const gauge = new Gauge(options);
      return (labels, value) => gauge.set(labels, value);
    }
    const counter = new Counter(options);
    return (labels, value) => {
      counter.remove(labels);
      counter.inc(labels, value);
    };
  }
}
