import type { ClockQuality, EpochMs, GatewayName, Lane } from '@floorwatch/contracts';

import type { BrokerState } from '../ingest/broker-state.ts';
import type { IntakeCounts } from '../ingest/intake.ts';
import type { RejectView } from '../ingest/reject-log.ts';
import type { SensorState } from '../sensor-engine.ts';
import type { LaneSenderState } from '../uplink/lane-sender.ts';
import type { NatsState } from '../uplink/nats-link.ts';
import type { CommitTimes } from './commit-times.ts';
import type { DurableViews, LaneProgress } from './durable-views.ts';
import type { Trouble } from './troubles.ts';

/**
 * What has become of everything that arrived since the start; {@link IntakeCounts} says how it adds up. What input kept on disk adds is
 * not there without it.
 */
export type ReadingCounts = Partial<IntakeCounts> &
  Pick<IntakeCounts, 'received' | 'accepted' | 'rejected' | 'rejectedByReason' | 'retainedCopies'> & {
    /** Of the accepted ones: older than their sensor's newest, so in their rollup, but not scored. */
    readonly outOfOrder: number;
  };

/** How full a lane is, and how far it has come. */
export interface LaneView extends LaneSenderState {
  readonly recordsSpooled: number;
  readonly recordsWaiting: number;
  readonly bytes: number;
  readonly bytesMax: number;
  readonly progress?: LaneProgress;
}

/** Everything that the agent tells of itself, as it stands now: `GET /status`. */
export interface AgentView extends GatewayName, Partial<DurableViews> {
  readonly version: string;
  readonly configHash: string;
  readonly epoch: string;
  readonly startedAt: EpochMs;
  readonly at: EpochMs;
  readonly clock: ClockQuality;
  readonly sensors: number;
  readonly sensorsMax: number;
  readonly episodes: { readonly opened: number; readonly closed: number };
  readonly readings: ReadingCounts;
  readonly broker: BrokerState;
  readonly nats: NatsState;
  readonly lanes: Readonly<Record<Lane, LaneView>>;
  /** What a person should look at, the most severe first; empty when all is well. */
  readonly troubles: readonly Trouble[];
}

/** What the status page and the metrics may ask the pipeline. */
export interface AgentSource {
  view(): AgentView;
  lastRejects(): readonly RejectView[];
  sensors(): Iterable<SensorState>;
  readonly commitTimes?: CommitTimes;
}
