import { epochMs } from '@floorwatch/contracts';

import { REJECT_REASON_NAMES, type RejectReason } from '../../src/ingest/reject.ts';
import type { AgentView, LaneView } from '../../src/status/agent-view.ts';

const at = epochMs(Date.UTC(2026, 5, 1, 12));
const startedAt = epochMs(at - 3_600_000);
const MIB = 1024 * 1024;

const counts = { items: 10, commits: 4, refused: 0, syncFailures: 0, dropped: 0 };

/** A lane of which everything is sent and nothing is wrong. */
export const laneOf = (changes: Partial<LaneView> = {}): LaneView => ({
  epoch: '3-00112233aabbccdd',
  lastNumber: 10,
  recordsSpooled: 10,
  recordsWaiting: 0,
  recordsDropped: 0,
  recordsDamaged: 0,
  recordsAcknowledged: 10,
  recordsRepeated: 0,
  batchesAcknowledged: 2,
  bytesAcknowledged: 4_000,
  failures: 0,
  sent: { epoch: '3-00112233aabbccdd', number: 10 },
  oldestUnsentAt: null,
  floor: { epoch: '3-00112233aabbccdd', floor: 10, highest: 10, heardAt: epochMs(at - 2_000) },
  uncommittedBytes: 0,
  stalledSince: null,
  uncommittedBytesMax: 64 * MIB,
  held: false,
  rewinds: 0,
  rewindsByReason: { hole: 0, 'not-applied': 0, 'stream-changed': 0, 'unknown-epoch': 0 },
  gapsSent: 0,
  floorsRefused: 0,
  alarms: [],
  bytes: MIB,
  bytesMax: 64 * MIB,
  counts,
  ...changes,
});

/** An agent that is well. */
export function healthyView(changes: Partial<AgentView> = {}): AgentView {
  return {
    site: 'Leipzig',
    gateway: 'hall-2',
    version: '0.1.0',
    configHash: '0123456789abcdef',
    epoch: '3-00112233aabbccdd',
    startedAt,
    at,
    clock: 'synchronised',
    sensors: 12,
    sensorsMax: 20_000,
    shareReached: null,
    episodes: { opened: 1, closed: 1 },
    readings: {
      received: 1_000,
      accepted: 1_000,
      rejected: 0,
      rejectedByReason: Object.fromEntries(REJECT_REASON_NAMES.map((name) => [name, 0])) as Record<
        RejectReason,
        number
      >,
      duplicates: 0,
      quarantined: 0,
      quarantinedByReason: { 'time-in-future': 0, 'time-in-past': 0, 'time-before-2000': 0 },
      retainedCopies: 0,
      released: 0,
      refusedByReason: {},
      clients: 3,
      clientsForgotten: 0,
      outOfOrder: 0,
    },
    broker: {
      kind: 'embedded',
      address: '127.0.0.1:1883',
      ready: true,
      since: startedAt,
      connections: 3,
      pending: 0,
      held: false,
    },
    nats: { servers: ['nats://127.0.0.1:4222'], connected: true, since: startedAt },
    floorMessages: { heard: 700, outdated: 0, malformed: 0, heardAt: epochMs(at - 2_000) },
    lanes: { anomaly: laneOf(), telemetry: laneOf() },
    journal: {
      durability: 'power',
      bytes: MIB,
      bytesMax: 64 * MIB,
      items: 500,
      oldestAt: epochMs(at - 60_000),
      counts,
      damaged: 0,
      replay: { state: 'done', items: 200, itemsTotal: 200, durationMs: 40 },
    },
    snapshot: { at: epochMs(at - 30_000), bytes: 5_000, durationMs: 120, pauseMs: 3, failures: 0 },
    quarantine: { items: 0, bytes: 64, bytesMax: 16 * MIB, oldestAt: null, dropped: 0 },
    refusing: null,
    troubles: [],
    ...changes,
  };
}

export { at };
