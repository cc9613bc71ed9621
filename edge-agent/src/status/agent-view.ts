import type { ClockQuality, EpochMs, GatewayName, Lane } from '@floorwatch/contracts';
import type { SegmentLogCounts } from '@floorwatch/segment-log';

import type { BrokerState } from '../ingest/broker-state.ts';
import type { IntakeCounts } from '../ingest/intake.ts';
import type { ShareReached } from '../ingest/sensor-registry.ts';
import type { RejectView } from '../ingest/reject-log.ts';
import type { SensorState } from '../sensor-engine.ts';
import type { FloorListenerState } from '../uplink/floor-listener.ts';
import type { NatsState } from '../uplink/nats-link.ts';
import type { SpoolSenderState } from '../uplink/spool-sender.ts';
import type { CommitTimes } from './commit-times.ts';
import type { DurableViews } from './durable-views.ts';
import type { Trouble } from './troubles.ts';

/** What has become of everything that arrived since the start. */
export interface ReadingCounts extends IntakeCounts {
  /** Of the accepted ones: older than their sensor's newest, so in their rollup, but not scored. */
  readonly outOfOrder: number;
}

/** How far a lane has come on the disk, on the way and in the cloud. Counts are since the start. */
export interface LaneView extends Omit<SpoolSenderState, 'recordsUnsent'> {
  readonly epoch: string;
  /** Number of the newest record in {@link epoch}. */
  readonly lastNumber: number;
  readonly recordsSpooled: number;
  /** Records that have not been sent. */
  readonly recordsWaiting: number;
  /** Records that were never sent and dropped because there was no room. */
  readonly recordsDropped: number;
  /** Records that were safe once and could not be read at this start. */
  readonly recordsDamaged: number;
  /** On the disk, until the cloud has it. */
  readonly bytes: number;
  readonly bytesMax: number;
  readonly counts: Readonly<SegmentLogCounts>;
}

/** Everything that the agent tells of itself, as it stands now: `GET /status`. */
export interface AgentView extends GatewayName, DurableViews {
  readonly version: string;
  readonly configHash: string;
  readonly epoch: string;
  readonly startedAt: EpochMs;
  readonly at: EpochMs;
  readonly clock: ClockQuality;
  readonly sensors: number;
  readonly sensorsMax: number;
  /** Who was refused new sensors last, because of its share of their places; null: nobody since the start. */
  readonly shareReached: ShareReached | null;
  readonly episodes: { readonly opened: number; readonly closed: number };
  readonly readings: ReadingCounts;
  readonly broker: BrokerState;
  readonly nats: NatsState;
  readonly floorMessages: FloorListenerState;
  readonly lanes: Readonly<Record<Lane, LaneView>>;
  /** What a person should look at, the most severe first; empty when all is well. */
  readonly troubles: readonly Trouble[];
}

/** What the status page and the metrics may ask the pipeline. */
export interface AgentSource {
  view(): AgentView;
  lastRejects(): readonly RejectView[];
  sensors(): Iterable<SensorState>;
  readonly commitTimes: CommitTimes;
}
