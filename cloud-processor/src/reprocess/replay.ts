import {
  type Batch,
  decodeBatch,
  gatewayKey,
  type IngestAddress,
  lastNumber,
  parseIngestSubject,
  type GatewayRow,
  type Row,
  type WindowRow,
} from '@floorwatch/contracts';

import { deafObserver } from '../floor-observer.ts';
import { Fold } from '../fold.ts';
import type { LiveState, StreamMessage } from '../partition.ts';
import { anomalyRow, gatewayRow } from '../rows.ts';
import {
  type Judgement,
  placeIn,
  type SequencerLimits,
  type SourceName,
  type SourceSnapshot,
} from '../sequence/sequencer.ts';
import type { StoredRuns } from '../stored-gateway.ts';
import type { WindowConfig } from '../window/window-config.ts';
import type { SealedLoss } from '../window/window-operator.ts';
import type { HeldNumbers } from './held-numbers.ts';
import type { ToldRow } from './compare-rows.ts';
import { planReplay, type ReplayPlan, type Segment } from './replay-plan.ts';

/** What the records of one message became. */
export interface ReplayedRows {
  /** Sealed windows. Those that late readings belong to come from `lateWindows`. */
  readonly windows: readonly WindowRow[];
  /** Each record tells a whole one, so episodes and reports come of every record that the live state took. */
  readonly told: readonly ToldRow[];
  readonly reports: readonly GatewayRow[];
}

/**
 * Why a gateway was not replayed to the end. `nothing-held`: the stream holds nothing that it could begin with; `astray`: records came in
 * another order than the live state took them in; `stuck`: something was missing on the way.
 */
export type ReplayGap = 'nothing-held' | 'astray' | 'stuck';

/** One gateway's telemetry on its way through the replay. */
interface Progress {
  readonly plan: ReplayPlan;
  /** Which of the plan's segments it is in. */
  segment: number;
  /** The last number that it took. */
  reached: number;
  /** Records came in another order than they were taken in: nothing of this gateway can be trusted any more. */
  isAstray: boolean;
}

const NOTHING: ReplayedRows = { windows: [], told: [], reports: [] };

/**
 * The live state's own code with a fresh state, fed once more with what the stream still holds. Windows whose beginning the stream no
 * longer holds are made in part, which {@link isWhole} tells. Pure.
 */
export class Replay {
  readonly #fold: Fold;
  readonly #live: readonly SourceSnapshot[];
  readonly #gateways = new Map<string, Progress>();
  /** By source and epoch: the last number that the live state took. */
  readonly #floors = new Map<string, Map<string, number>>();
  #rows: Row[] = [];

  constructor(options: {
    readonly live: LiveState;
    readonly held: HeldNumbers;
    readonly windows: WindowConfig;
    readonly sequence: SequencerLimits;
  }) {
    this.#live = options.live.sources;
    const sources: SourceSnapshot[] = [];
    const runs: StoredRuns[] = [];
    for (const live of options.live.sources) {
      const name = nameOf(live);
      this.#floors.set(name, new Map(live.epochs.map(([epoch, floor]) => [epoch, floor] as const)));
      if (live.lane !== 'telemetry') continue;
      const plan = planReplay(live, options.held, name, options.live.reachOf(live));
      if (plan === undefined) continue;
      sources.push(plan.before);
      this.#gateways.set(gatewayKey(live), { plan, segment: 0, reached: 0, isAstray: false });
      const { site, gateway } = live;
      runs.push({ site, gateway, runs: plan.segments.map(({ run, epoch, from, to }) => [run, epoch, from, to]) });
    }
    this.#fold = new Fold({
      windows: options.windows,
      sequence: options.sequence,
      observer: deafObserver,
      out: { emit: (row) => this.#rows.push(row) },
      from: { sources, alarms: [], windows: { gateways: [], late: [], lateWindows: [] } },
    });
    // Records get the runs that they had.
    this.#fold.sequencer.remember({ gateways: runs, runsTo: 0 });
  }

  /** Late readings that wait for their windows, to be corrected as the live state does it. */
  get lateWindows(): Fold['windows']['lateWindows'] {
    return this.#fold.windows.lateWindows;
  }

  /** Where sealed windows are to be marked incomplete, once all of them are in the store. */
  get losses(): readonly SealedLoss[] {
    return this.#fold.windows.losses();
  }

  /** Late readings so far, see `WindowSnapshot`; undefined if some were forgotten at the limit. */
  get lateCounts(): Iterable<readonly [string, number]> | undefined {
    const { late } = this.#fold.windows.shared;
    return late.forgotten > 0 ? undefined : late.entries();
  }

  /** Feeds the next message of the partition; nothing happens with one that the live state could not use or did not take. */
  apply(message: StreamMessage): ReplayedRows {
    const read = readMessage(message);
    if (read === undefined || !this.#wasTaken(read.address, read.batch)) return NOTHING;
    const { address, batch } = read;
    const told = batch.records.flatMap((record): ToldRow[] =>
      record.kind === 'anomaly' ? [anomalyRow(address, record, batch.epoch)] : [],
    );
    const reports = batch.records.flatMap((record) =>
      record.kind === 'status'
        ? [gatewayRow(address, record, placeIn(this.#runsOf(address), batch.epoch, record.number))]
        : [],
    );
    const gateway = this.#gateways.get(gatewayKey(address));
    if (address.lane !== 'telemetry' || gateway === undefined) return { windows: [], told, reports };
    this.#rows = [];
    const judgement = this.#fold.apply(address, batch, message.storedAt);
    this.#follow(gateway, batch, judgement);
    const counted = this.#rows.filter((row) => row.table === 'counted' || row.table === 'counted_episodes');
    return { windows: this.#rows.filter((row) => row.table === 'window'), told: [...told, ...counted], reports };
  }

  #runsOf(source: SourceName): SourceSnapshot['runs'] {
    return this.#live.find((live) => nameOf(live) === nameOf(source))?.runs ?? [];
  }

  /** Whether the live state has taken a batch, up to its last number. */
  #wasTaken(source: SourceName, { epoch, records }: Batch): boolean {
    const floor = this.#floors.get(nameOf(source))?.get(epoch);
    return floor !== undefined && lastNumber(records.at(-1)!) <= floor;
  }

  /** Follows the way that the live state took, segment by segment. */
  #follow(gateway: Progress, { epoch, records }: Batch, { from, floor }: Judgement): void {
    if (from === records.length) return;
    const { segments } = gateway.plan;
    const isIn = (segment: Segment | undefined): boolean =>
      segment?.epoch === epoch && segment.from <= floor + 1 && floor < segment.to;
    const current = segments[gateway.segment];
    if (!isIn(current) && gateway.reached === current?.to) gateway.segment++;
    if (!isIn(segments[gateway.segment])) gateway.isAstray = true;
    gateway.reached = lastNumber(records.at(-1)!);
  }

  /** Whether everything that belongs into a window was replayed, or is still to be. */
  isWhole({ sensor, start }: Pick<WindowRow, 'sensor' | 'start'>): boolean {
    const gateway = this.#gateways.get(gatewayKey(sensor));
    return gateway !== undefined && !gateway.isAstray && start >= gateway.plan.reach;
  }

  /** Gateways of which not everything could be replayed up to where the live state stands, and why. */
  unfinished(): readonly { readonly gateway: string; readonly why: ReplayGap }[] {
    const reached = new Map(
      this.#fold.sequencer.snapshot().map((source) => [nameOf(source), placeOf(source)] as const),
    );
    return this.#live
      .filter(({ lane, takenFrom }) => lane === 'telemetry' && takenFrom !== null)
      .flatMap((source): { readonly gateway: string; readonly why: ReplayGap }[] => {
        const gateway = gatewayKey(source);
        const progress = this.#gateways.get(gateway);
        if (progress === undefined) return [{ gateway, why: 'nothing-held' }];
        if (progress.isAstray) return [{ gateway, why: 'astray' }];
        return placeOf(source) === reached.get(nameOf(source)) ? [] : [{ gateway, why: 'stuck' }];
      });
  }
}

/** A message that can be used: who sent it, and what is in it. */
export function readMessage({
  subject,
  data,
}: Pick<StreamMessage, 'subject' | 'data'>): { readonly address: IngestAddress; readonly batch: Batch } | undefined {
  const address = parseIngestSubject(subject);
  const decoded = address === undefined ? undefined : decodeBatch(data);
  if (address === undefined || decoded?.ok !== true) return undefined;
  const { batch } = decoded;
  const isHis = batch.site === address.site && batch.gateway === address.gateway && batch.lane === address.lane;
  return isHis ? { address, batch } : undefined;
}

/** Names hold no slash, so the text is one to one. */
export const nameOf = ({ site, gateway, lane }: SourceName): string => `${site}/${gateway}/${lane}`;

/** How far a source has come, as a text that can be compared. */
const placeOf = ({ run, takenFrom, epochs }: SourceSnapshot): string =>
  `${run} ${takenFrom} ${epochs.find(([epoch]) => epoch === takenFrom)?.[1]}`;
