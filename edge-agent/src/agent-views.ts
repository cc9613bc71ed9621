import { BROKER_AWAY, LANES, type Lane } from '@floorwatch/contracts';
import { VERSION } from '@floorwatch/runtime';

import type { AgentParts } from './agent-parts.ts';
import { configHash } from './config.ts';
import type { StatusFacts } from './item-processor.ts';
import type { AgentView, LaneView, ReadingCounts } from './status/agent-view.ts';
import type { JournalView } from './status/durable-views.ts';
import { findTroubles } from './status/troubles.ts';
import type { Storage } from './storage.ts';
import type { SpoolSender } from './uplink/spool-sender.ts';

/** Everything that the agent tells of itself, as it stands now. */
export function viewAgent(parts: AgentParts): AgentView {
  const { config, clock, storage, intake, writer, senders } = parts;
  const { site, gateway, sensorsMax } = config;
  const lane = (name: Lane): LaneView => viewLane(storage, name, senders[name]);
  const view = {
    site,
    gateway,
    version: VERSION,
    configHash: configHash(config),
    epoch: storage.lanes.telemetry.epoch ?? '',
    startedAt: clock.startedAt,
    at: clock.now,
    clock: clock.quality,
    sensors: intake.sensors,
    sensorsMax,
    shareReached: intake.shareReached ?? null,
    episodes: { ...writer.episodes },
    readings: countReadings(parts),
    broker: parts.broker.state(),
    nats: parts.link.state(),
    floorMessages: parts.floors.state(),
    lanes: { anomaly: lane('anomaly'), telemetry: lane('telemetry') },
    journal: viewJournal(parts),
    snapshot: parts.snapshots.view,
    quarantine: storage.quarantine.view(),
    refusing: parts.refusals.view,
  };
  return { ...view, troubles: findTroubles(view) };
}

const countReadings = ({ intake, engine }: AgentParts): ReadingCounts => ({
  ...intake.counts,
  outOfOrder: engine.outOfOrder,
});

function viewJournal({ storage: { journal }, config, recovery }: AgentParts): JournalView {
  const { durability, journalBytesMax: bytesMax } = config.storage;
  const { bytes, oldestAt, counts, first, next } = journal;
  const items = next - first;
  return { durability, bytes, bytesMax, items, oldestAt, counts, damaged: recovery.lost, replay: recovery.view };
}

function viewLane({ lanes, damaged }: Storage, lane: Lane, sender: SpoolSender): LaneView {
  const { bytes, bytesMax, counts, epoch = '', lastNumber, dropped: recordsDropped } = lanes[lane];
  const { recordsUnsent: recordsWaiting, ...state } = sender.state();
  const { items: recordsSpooled } = counts;
  const records = { recordsSpooled, recordsWaiting, recordsDropped, recordsDamaged: damaged[lane] };
  return { ...state, ...records, epoch, lastNumber, bytes, bytesMax, counts };
}

/** What a status record says of the agent, besides what the journal tells. */
export function statusFacts(parts: AgentParts): StatusFacts {
  const { config, writer, storage, senders } = parts;
  const { received, accepted, rejected, duplicates, quarantined, retainedCopies, outOfOrder, rejectedByReason } =
    countReadings(parts);
  const counters: Record<string, number> = {
    readingsReceived: received,
    readingsAccepted: accepted,
    readingsRejected: rejected,
    readingsDuplicate: duplicates,
    readingsQuarantined: quarantined,
    readingsRetainedCopies: retainedCopies,
    readingsOutOfOrder: outOfOrder,
    episodesOpened: writer.episodes.opened,
    episodesClosed: writer.episodes.closed,
  };
  const broker = parts.broker.state();
  // So that nobody takes the silence of its sensors for "all clear".
  if (broker.kind === 'external') counters[BROKER_AWAY] = broker.ready ? 0 : 1;
  for (const [reason, count] of Object.entries(rejectedByReason)) {
    if (count > 0) counters[`readingsRejected.${reason}`] = count;
  }
  for (const lane of LANES) {
    const state = senders[lane].state();
    counters[`${lane}.recordsSpooled`] = storage.lanes[lane].counts.items;
    counters[`${lane}.recordsDropped`] = storage.lanes[lane].dropped;
    counters[`${lane}.recordsAcknowledged`] = state.recordsAcknowledged;
    counters[`${lane}.sendFailures`] = state.failures;
  }
  return { version: VERSION, configHash: configHash(config), counters };
}
