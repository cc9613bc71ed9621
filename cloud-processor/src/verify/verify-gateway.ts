import { COUNT_MS, days, type EpochMs, epochMs, type GatewayRow, instantInWords, LANES } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';
import { ALARM_CAUSES } from '../sequence/alarms.ts';
import type { Store } from '../write/store.ts';
import { EpisodeComparer } from './compare-episodes.ts';
import { ReadingComparer } from './compare-readings.ts';
import { floorOf, type GatewayCut } from './cut.ts';
import { evidenceFrom } from './evidence.ts';
import type {
  Difference,
  EvidenceReport,
  GatewayReport,
  IntakeReport,
  LaneReport,
  VerifyRequest,
} from '@floorwatch/contracts/api';
import { groupSizes } from './stretches.ts';

/** How far back hours are compared if nobody says: what a stream keeps, so what can still be made again. */
const RANGE_DEFAULT_MS = days(7);
/** Sensors times stretches that are held in memory at a time, at about 1 KB each; one stretch of more sensors is held whole. */
const TALLIES_MAX = 20_000;
/** Hours of episodes that are compared together. */
const EPISODE_STRETCH_MS = days(1);

export interface GatewayVerification {
  readonly cut: GatewayCut;
  readonly store: Pick<Store, 'scan'>;
  readonly request: VerifyRequest;
  readonly sizes: readonly number[];
  /** What is older is not in the store any more; -Infinity: everything is. */
  readonly keptFrom: number;
  /** The gateway's newest report. */
  readonly reported: GatewayRow | undefined;
  readonly now: EpochMs;
  readonly report: (difference: Difference) => void;
  readonly progress: (now: string) => void;
}

/** Compares everything that one gateway told with what is stored of it. @throws StoreError; the reason of `signal` */
export async function verifyGateway(given: GatewayVerification, signal: AbortSignal): Promise<GatewayReport> {
  const { cut, store, request, report, progress } = given;
  const { site, gateway, ledger } = cut;
  const watermark = cut.windows?.watermark ?? null;
  const readings = new ReadingComparer(cut, store, report);
  const episodes = new EpisodeComparer(cut, store, report);
  const to = Math.min(request.to ?? Infinity, watermark ?? -Infinity);
  const from = Math.max(request.from ?? to - RANGE_DEFAULT_MS, given.keptFrom);
  if (watermark !== null) {
    const sensors = cut.windows?.sensors.length ?? 0;
    const say = (at: number): void => progress(`${site}/${gateway} ${instantInWords(at)}`);
    for (const group of groupSizes(given.sizes)) {
      const end = Math.floor(to / group.length) * group.length;
      // Many at a time: most of the time of a question goes by before the first row.
      const step = Math.max(1, Math.floor(TALLIES_MAX / Math.max(1, sensors))) * group.length;
      for (let start = Math.ceil(from / group.length) * group.length; start < end; start += step) {
        say(start);
        await readings.compare(group, start, Math.min(end, start + step), signal);
      }
    }
    // Episodes are told as they open, so the hour in hand is compared too.
    const first = Math.ceil(from / COUNT_MS) * COUNT_MS;
    const inHand = Math.ceil((watermark + 1) / COUNT_MS) * COUNT_MS + COUNT_MS;
    // What was told is of whole hours.
    const end = Math.min(Math.floor((request.to ?? inHand) / COUNT_MS) * COUNT_MS, inHand);
    for (let start = first; start < end; start += EPISODE_STRETCH_MS) {
      say(start);
      await episodes.compare(start, Math.min(start + EPISODE_STRETCH_MS, end), signal);
    }
  }
  const lanes = LANES.map((lane) => laneReport(cut, lane));
  for (const lane of lanes) tellStuck(given, lane);
  for (const lane of lanes) tellUnconfirmed(given, lane);
  tellLost(given, readings.counts.lost);
  tellAlarms(given);
  const intake = intakeOf(given);
  tellReport(given);
  return {
    site,
    gateway,
    watermark: watermark === null ? null : epochMs(watermark),
    lanes,
    lost: ledger?.lost ?? [],
    intake,
    evidence: evidenceReport(given, from, to),
    readings: {
      ...readings.counts,
      late: cut.lateReadings,
      lateWaiting: cut.late.reduce((sum, { orders }) => sum + orders.length, 0),
    },
    episodes: episodes.counts,
  };
}

/** A difference of no sensor, time or count. */
const OF_THE_GATEWAY = { sensor: null, size: null, from: null, to: null, told: null, stored: null } as const;

function laneReport({ sources }: GatewayCut, lane: LaneReport['lane']): LaneReport {
  const source = sources[lane];
  const epoch = source?.takenFrom ?? null;
  const inFlight = (source?.epochs ?? []).reduce((sum, [, floor, highest]) => sum + highest - floor, 0);
  return { lane, epochs: source?.epochs.length ?? 0, epoch, floor: floorOf(source, epoch), inFlight };
}

/** Numbers that are missing are sent again within seconds; if they are missing for long, something is wrong. */
function tellStuck({ cut, now, report }: GatewayVerification, { lane }: LaneReport): void {
  for (const [epoch, floor, highest, , heardAt] of cut.sources[lane]?.epochs ?? []) {
    if (highest === floor || heardAt === 0 || now - heardAt < processorLimits.verifyStuckMs) continue;
    const { site, gateway } = cut;
    report({
      kind: 'numbers',
      site,
      gateway,
      ...OF_THE_GATEWAY,
      finding: `numbers ${floor + 1} to ${highest} of epoch ${epoch} in the ${lane} lane are missing, and nothing came of it since ${instantInWords(heardAt)}`,
      cause:
        'the gateway does not send them again: it is away, can not hear the processor, or does not have them any more',
      remedy: `look whether the agent runs, and run its "doctor"; docs/sequencing.md says how it goes on`,
    });
  }
}

/** Behind what it gave up a gateway sends more within a moment. Until then a gap may as well be somebody else's, sent in its name. */
function tellUnconfirmed({ cut, now, report }: GatewayVerification, { lane }: LaneReport): void {
  for (const [epoch, floor, , succeeded, heardAt, lostFrom] of cut.sources[lane]?.epochs ?? []) {
    if (lostFrom === 0 || succeeded || now - heardAt < processorLimits.verifyUnconfirmedMs) continue;
    const { site, gateway } = cut;
    report({
      kind: 'lost',
      site,
      gateway,
      ...OF_THE_GATEWAY,
      finding: `numbers ${lostFrom} to ${floor} of epoch ${epoch} in the ${lane} lane were declared lost, and the gateway has sent nothing behind them`,
      cause: 'somebody else declared them lost in the name of the gateway, or it went away at that moment',
      remedy:
        'bring the gateway back: it sends what it has, and that settles it; runbook identity says how to keep others from sending in its name',
    });
  }
}

function tellLost({ cut, request, report }: GatewayVerification, missing: number): void {
  const lost = (cut.ledger?.lost ?? []).filter(({ lane }) => lane === 'telemetry');
  if (missing === 0 || lost.some(({ unknown }) => unknown) || request.from !== undefined) return;
  const declared = lost.reduce((sum, { readings }) => sum + readings, 0);
  if (missing <= declared) return;
  const { site, gateway } = cut;
  report({
    kind: 'lost',
    site,
    gateway,
    ...OF_THE_GATEWAY,
    finding: `${missing} readings are missing where the gateway declared numbers lost, and those held ${declared}`,
    cause: 'windows were removed or changed there as well',
    remedy: 'look at the windows that are marked incomplete',
  });
}

/** The newest report is stored, or was: a store that was emptied, or an older copy of it, lacks it, also where no reading came. */
function tellReport({ cut, reported, keptFrom, report }: GatewayVerification): void {
  const taken = cut.evidence?.reportedAt ?? null;
  const stored = Math.max(reported?.at ?? -Infinity, cut.unsent.reportedAt);
  if (taken === null || taken < keptFrom || stored >= taken) return;
  const { site, gateway } = cut;
  const newest = instantInWords(taken);
  report({
    kind: 'report',
    site,
    gateway,
    ...OF_THE_GATEWAY,
    finding:
      stored === -Infinity
        ? `no report of the gateway is stored, the processor took one of ${newest}`
        : `the newest report of the gateway that is stored is of ${instantInWords(stored)}, the processor took one of ${newest}`,
    cause: 'the store was emptied, or an older copy of it put back; or it has refused the report (dead letters)',
    remedy:
      'find out what happened to the store; "reprocess" makes again what the stream holds, and a newer copy of the store has the rest',
  });
}

/** What an alarm means for the rows is for a person to say: until then nothing is proven. */
function tellAlarms({ cut, now, report }: GatewayVerification): void {
  for (const { site, gateway, lane, cause, firstAt, lastAt } of cut.alarms) {
    // What was sent in the name of the gateway stands in the place of its own records for good.
    const isForLong = cause === 'other-content';
    if (now - lastAt >= (isForLong ? RANGE_DEFAULT_MS : processorLimits.alarmShownMs)) continue;
    const { kind, meaning, remedy } = ALARM_CAUSES[cause];
    report({
      kind: 'alarm',
      site,
      gateway,
      ...OF_THE_GATEWAY,
      from: epochMs(firstAt),
      to: epochMs(lastAt),
      finding: `the alarm "${kind}" stands, raised last at ${instantInWords(lastAt)} in the ${lane} lane`,
      cause: meaning,
      remedy,
    });
  }
}

/** Whether the sums in the checkpoint reach back to where the comparison began. */
function evidenceReport({ cut }: GatewayVerification, from: number, to: number): EvidenceReport {
  // A gateway of which nothing was applied has left nothing to prove.
  const isNew = cut.evidence === undefined && LANES.every((lane) => laneReport(cut, lane).floor === 0);
  const since = evidenceFrom(cut.evidence);
  const first = Math.ceil(from / COUNT_MS) * COUNT_MS;
  const isWhole = isNew || since <= first || (to <= from && since < Infinity);
  return { since: Number.isFinite(since) ? epochMs(since) : null, isWhole };
}

/** received = accepted + rejected + duplicates + quarantined + retained copies, by the gateway's own counters. */
function intakeOf({ cut, reported, report }: GatewayVerification): IntakeReport | null {
  if (reported === undefined) return null;
  const { startedAt, at, counters } = reported;
  const of = (name: string): number => counters[name] ?? 0;
  const intake: IntakeReport = {
    startedAt,
    at,
    received: of('readingsReceived'),
    accepted: of('readingsAccepted'),
    rejected: of('readingsRejected'),
    duplicate: of('readingsDuplicate'),
    quarantined: of('readingsQuarantined'),
    retainedCopies: of('readingsRetainedCopies'),
  };
  const { received, accepted, rejected, duplicate, quarantined, retainedCopies } = intake;
  const sum = accepted + rejected + duplicate + quarantined + retainedCopies;
  if (sum !== received) {
    const { site, gateway } = cut;
    report({
      kind: 'intake',
      site,
      gateway,
      ...OF_THE_GATEWAY,
      from: startedAt,
      to: at,
      finding: `the gateway says that it received ${received} readings, and what became of them adds up to ${sum}`,
      cause: 'the agent miscounts',
      remedy: "report it with the answer of the agent's /status",
    });
  }
  return intake;
}
