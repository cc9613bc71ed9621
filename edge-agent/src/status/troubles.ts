import { bytesInWords, counted, durationInWords, type EpochMs, type Lane, LANES } from '@floorwatch/contracts';

import { limits } from '../limits.ts';
import { quoted } from '../ingest/door-log.ts';
import type { ShareReached } from '../ingest/sensor-registry.ts';
import type { SenderAlarm } from '../uplink/spool-sender.ts';
import type { AgentView, LaneView } from './agent-view.ts';
import { doorTroubles } from './door-troubles.ts';
import type { Runbook } from './runbooks.ts';

/**
 * Something that a person should look at.
 *
 * - `warning`: nothing is lost yet, but it will not get better by itself.
 * - `critical`: readings are refused or lost, or what is reported can't be trusted.
 */
export interface Trouble {
  /** The same for the same kind of trouble, whatever its figures; for programs. */
  readonly code: string;
  readonly severity: 'warning' | 'critical';
  /** What is wrong, with the figures. */
  readonly what: string;
  /** What to do first. */
  readonly remedy: string;
  readonly runbook: Runbook;
}

/** A trouble as one sentence. */
export const troubleText = ({ what, remedy }: Trouble): string => `${what}; ${remedy}`;

/** What is wrong, as far as the agent can tell from itself; the most severe first. Looks at nothing but `view`. */
export function findTroubles(view: Omit<AgentView, 'troubles'>): Trouble[] {
  const isReplaying = view.journal.replay.state === 'running';
  const troubles = [
    // Before it has read again what it had accepted, it neither listens nor connects.
    ...(isReplaying ? ofReplay(view) : [...ofInput(view), ...ofCloud(view)]),
    ...ofJournal(view),
    ...LANES.flatMap((lane) => [...ofLane(lane, view.lanes[lane], view.at)]),
    ...ofState(view),
  ];
  return troubles.sort((a, b) => Number(b.severity === 'critical') - Number(a.severity === 'critical'));
}

const ALARMS: Readonly<Record<SenderAlarm['kind'], Pick<Trouble, 'remedy' | 'runbook'>>> = {
  identity: {
    remedy:
      'find out whether another machine uses this gateway’s name, its disk was set back to an older copy, or somebody else publishes in NATS what only a processor may',
    runbook: 'identity',
  },
  trimmed: {
    remedy: 'see why the cloud lost what it had; what the gateway holds no longer is gone',
    runbook: 'processor-silent',
  },
  stuck: {
    remedy: 'see what the processor says about this gateway; everything waits here',
    runbook: 'processor-silent',
  },
};

type View = Omit<AgentView, 'troubles'>;

function* ofReplay({ journal }: View): Generator<Trouble> {
  const { items, itemsTotal } = journal.replay;
  yield {
    code: 'replaying',
    severity: 'warning',
    what: `the agent reads again what it had accepted before its start (${items} of ${itemsTotal} items), and takes nothing new until then`,
    remedy: 'wait; if it is always so long, snapshots fail or are too rare',
    runbook: 'will-not-start',
  };
}

function* ofInput(view: View): Generator<Trouble> {
  const { broker, refusing, sensors, sensorsMax, at } = view;
  if (!broker.ready) {
    yield {
      code: 'broker',
      severity: 'critical',
      what:
        `MQTT broker ${broker.address} cannot be used: ${broker.lastError ?? 'not started'}` +
        (broker.kind === 'external' ? '; until it can, no sensor is called silent' : ''),
      remedy:
        broker.kind === 'external' ? 'see to that broker, or to broker.url and its password' : 'start the agent again',
      runbook: 'broker',
    };
  }
  if (broker.door !== undefined) yield* doorTroubles(broker.door);
  if (refusing !== null) {
    yield {
      code: 'refusing',
      severity: 'critical',
      what: `no readings are taken, devices must keep them (for ${since(refusing.since, at)}): ${refusing.log}: ${refusing.why}`,
      remedy: 'make room on the disk, or let NATS take what waits',
      runbook: 'disk-full',
    };
  }
  yield* ofShares(view);
  if (sensors >= sensorsMax) {
    yield {
      code: 'sensors',
      severity: 'critical',
      what: `there are ${sensors} sensors, as many as sensorsMax allows; readings of new ones are rejected`,
      remedy: 'raise sensorsMax if they are real, or find the device that makes up names',
      runbook: 'readings-rejected',
    };
  }
}

const SHARES: Readonly<Record<ShareReached['reason'], (who: string) => string>> = {
  'device-share': (who) => `device ${who} has`,
  'client-share': (who) => `client ${who} has`,
  'hour-share': () => 'this hour has',
};

/** While there is room, but not for everybody. */
function ofShares({ shareReached, sensors, sensorsMax, at }: View): Trouble[] {
  if (shareReached === null || sensors >= sensorsMax || at - shareReached.at >= limits.shareToldMs) return [];
  const { reason, who } = shareReached;
  return [
    {
      code: reason,
      severity: 'critical',
      what: `${SHARES[reason](quoted(who ?? ''))} its share of the places for sensors (${sensors} of ${sensorsMax} are taken); its readings of new ones are rejected`,
      remedy: 'find out why it makes up names; if they are real, raise sensorsMax',
      runbook: 'readings-rejected',
    },
  ];
}

function* ofJournal({ journal }: View): Generator<Trouble> {
  if (journal.counts.syncFailures > 0) yield syncFailed('journal', journal.counts.syncFailures);
  if (journal.damaged > 0)
    yield damaged('journal', `${counted(journal.damaged, 'accepted item')} can't be read any more`);
  if (journal.bytes >= journal.bytesMax * limits.fullShareWarned) {
    yield {
      code: 'journal-full',
      severity: 'warning',
      what: `the journal is nearly full: ${bytesInWords(journal.bytes)} of ${bytesInWords(journal.bytesMax)}`,
      remedy: 'see why snapshots fail: each one makes room in the journal',
      runbook: 'disk-full',
    };
  }
}

function* ofLane(lane: Lane, view: LaneView, at: EpochMs): Generator<Trouble> {
  const { bytes, bytesMax, recordsDropped, recordsDamaged, alarms, counts, fault } = view;
  if (bytes >= bytesMax * limits.fullShareWarned) {
    const isFull = bytes >= bytesMax;
    yield {
      code: 'lane-full',
      severity: isFull ? 'critical' : 'warning',
      what: `spool lane ${lane} is ${isFull ? 'full' : 'nearly full'}: ${bytesInWords(bytes)} of ${bytesInWords(bytesMax)}`,
      remedy: 'let NATS and the cloud processor take it, or give the lane more room',
      runbook: 'disk-full',
    };
  }
  if (counts.syncFailures > 0) yield syncFailed(`spool lane ${lane}`, counts.syncFailures);
  if (recordsDamaged > 0)
    yield damaged(`spool lane ${lane}`, `${counted(recordsDamaged, 'record')} can't be read any more`);
  if (fault !== undefined) {
    yield {
      code: 'lane-unreadable',
      severity: 'critical',
      what: `spool lane ${lane} can't be sent: ${fault}`,
      remedy: 'see to the disk; the lane is tried again and again',
      runbook: 'disk-health',
    };
  }
  if (recordsDropped > 0) {
    yield {
      code: 'dropped',
      severity: 'critical',
      what: `spool lane ${lane} has dropped ${counted(recordsDropped, 'record')} since the start, because there was no room`,
      remedy: 'let NATS and the cloud processor take data again, and give the lane more room; what was dropped is gone',
      runbook: 'disk-full',
    };
  }
  for (const alarm of alarms) {
    yield {
      code: alarm.kind,
      severity: 'critical',
      what: `${alarm.what} (lane ${lane}, for ${since(alarm.since, at)})`,
      ...ALARMS[alarm.kind],
    };
  }
}

function* ofCloud({ nats, floorMessages, lanes, startedAt, at }: View): Generator<Trouble> {
  const [address] = nats.servers;
  if (!nats.connected) {
    yield {
      code: 'nats-unreachable',
      severity: 'warning',
      what: `NATS cannot be reached (for ${since(nats.since, at)}): ${nats.lastError ?? 'not connected yet'}`,
      remedy: `see whether ${address ?? 'the server'} runs and the network leads there; data waits on this gateway`,
      runbook: 'nats',
    };
    return;
  }
  if (nats.lastError !== undefined) {
    yield {
      code: 'nats-refuses',
      severity: 'warning',
      what: `NATS does not take data: ${nats.lastError}`,
      remedy: 'data waits on this gateway until it does',
      runbook: 'nats',
    };
  }
  if (floorMessages.malformed > 0) {
    yield {
      code: 'floor-messages',
      severity: 'warning',
      what: `${counted(floorMessages.malformed, 'floor message')} for this gateway could not be used since the start: ${floorMessages.lastMalformed ?? ''}`,
      remedy: 'find out who publishes there; with a NATS user for every gateway and processor nobody else can',
      runbook: 'identity',
    };
  }
  const uncommitted = LANES.filter((lane) => lanes[lane].uncommittedBytes > 0);
  const heardAt = Math.max(startedAt, nats.since, ...LANES.map((lane) => lanes[lane].floor?.heardAt ?? 0));
  if (uncommitted.length > 0 && at - heardAt > limits.floorSilentMsMax) {
    yield {
      code: 'processor-silent',
      severity: 'warning',
      what: `no cloud processor has said for ${durationInWords(at - heardAt)} how far it has come, so everything sent is kept here too`,
      remedy: 'see whether the processor runs, and whether this user may subscribe to floor.v1.>',
      runbook: 'processor-silent',
    };
  }
  for (const lane of uncommitted) yield* ofStall(lane, lanes[lane], at);
  for (const lane of uncommitted) {
    const { uncommittedBytes: bytes, uncommittedBytesMax: max } = lanes[lane];
    if (max === null || bytes < max) continue;
    yield {
      code: 'uncommitted',
      severity: 'warning',
      what: `spool lane ${lane} waits: ${bytesInWords(bytes)} are sent and not yet safe in the cloud`,
      remedy: 'see whether the processor runs and its store takes data',
      runbook: 'processor-silent',
    };
  }
}

/** NATS acknowledged it, and the processor does not have it, or can't go on. */
function* ofStall(lane: Lane, { floor, stalledSince }: LaneView, at: EpochMs): Generator<Trouble> {
  if (floor === null || at - floor.heardAt > limits.floorSilentMsMax || stalledSince === null) return;
  if (at - stalledSince <= limits.floorStalledMsMax) return;
  yield {
    code: 'not-committed',
    severity: 'warning',
    what: `NATS has what spool lane ${lane} sent, and the processor has made none of it safe (for ${since(stalledSince, at)}), so it is kept here too`,
    remedy: 'see what /healthz of the processor says of its store and of the stream, which may be smaller than a batch',
    runbook: 'processor',
  };
}

function* ofState({ clock, snapshot, quarantine }: View): Generator<Trouble> {
  if (clock === 'unsynchronised') {
    yield {
      code: 'clock',
      severity: 'warning',
      what: 'the clock of this gateway is not synchronised',
      remedy: 'set up a time service, such as systemd-timesyncd',
      runbook: 'clock',
    };
  }
  if (snapshot.lastError !== undefined) {
    yield {
      code: 'snapshot',
      severity: 'warning',
      what: `the state of the sensors could not be saved (${counted(snapshot.failures, 'time')} since the start): ${snapshot.lastError}`,
      remedy: 'make room on the disk; until then the journal grows and a start takes longer',
      runbook: 'disk-full',
    };
  }
  if (quarantine.dropped > 0) {
    yield {
      code: 'quarantine-full',
      severity: 'critical',
      what: `the quarantine is full, and has let go of ${counted(quarantine.dropped, 'reading')} since the start, the oldest first`,
      remedy: 'settle what waits there, and find out whose clock is wrong',
      runbook: 'quarantine',
    };
  }
  if (quarantine.items > 0) {
    yield {
      code: 'quarantine',
      severity: 'warning',
      what: `${counted(quarantine.items, 'reading')} in the quarantine, because their time was not believed`,
      remedy: 'look at them with "floorwatch-agent quarantine list", and release or drop them',
      runbook: 'quarantine',
    };
  }
}

const syncFailed = (log: string, times: number): Trouble => ({
  code: 'sync-failed',
  severity: 'critical',
  what: `the disk failed ${counted(times, 'time')} to keep what was written to the ${log}`,
  remedy: 'replace the disk or the SD card soon; what could not be kept was not acknowledged',
  runbook: 'disk-health',
});

const damaged = (log: string, what: string): Trouble => ({
  code: 'damaged',
  severity: 'critical',
  what: `the ${log} is damaged: ${what}`,
  remedy: 'find out why (power, disk); the loss is reported to the cloud, the rest goes on',
  runbook: 'damaged-log',
});

const since = (from: EpochMs, at: EpochMs): string => durationInWords(Math.max(1_000, at - from));
