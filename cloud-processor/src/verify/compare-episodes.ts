import { addHash, COUNT_MS, epochMs, hashOf, type HashSum, hashText, noHashes, textHash } from '@floorwatch/contracts';

import { orderOf } from '../window/record-order.ts';
import { rowKey } from '../write/row-key.ts';
import type { Store } from '../write/store.ts';
import { floorOf, type GatewayCut, lostBehind } from './cut.ts';
import { episodeCheck, evidenceAt, evidenceFrom, type HourEvidence } from './evidence.ts';
import type { Difference } from '@floorwatch/contracts/api';

type Phase = 'opened' | 'closed';
const PHASES = ['opened', 'closed'] as const;

interface Sum {
  n: number;
  readonly hash: HashSum;
}

interface HourTally {
  readonly told: { readonly opened: Sum; readonly closed: Sum };
  readonly stored: { readonly opened: Sum; readonly closed: Sum };
  /** {@link episodeCheck} of what is stored. */
  check: number;
  /** Of the newest tick that told of it; 0: none did. */
  through: number;
  /** The gateway told of it after the cut: what it had told before is not known. */
  toldLater: boolean;
  /** Stored episodes whose record came behind the last one that the gateway had counted, and behind the cut. */
  untold: number;
  newer: number;
}

const nothing = (): Sum => ({ n: 0, hash: noHashes() });
const sums = () => ({ opened: nothing(), closed: nothing() });

/** Compares what one gateway told of its episodes, and what was taken of them, with the anomalies that are stored, by the hour in which they opened. */
export class EpisodeComparer {
  readonly counts = { opened: 0, closed: 0, hours: 0, inFlight: 0, uncounted: 0 };
  readonly #cut: GatewayCut;
  readonly #store: Pick<Store, 'scan'>;
  readonly #report: (difference: Difference) => void;
  /** Records of the anomaly lane that are told and not applied: so many phases may be missing. */
  readonly #behind: number;

  constructor(cut: GatewayCut, store: Pick<Store, 'scan'>, report: (difference: Difference) => void) {
    this.#cut = cut;
    this.#store = store;
    this.#report = report;
    const told = cut.ledger?.episodes ?? null;
    this.#behind = told === null ? 0 : Math.max(0, told.number - floorOf(cut.sources.anomaly, told.epoch));
  }

  /** Compares the hours in [from, to), which are few enough to be kept in memory. */
  async compare(from: number, to: number, signal: AbortSignal): Promise<void> {
    const { evidence, ledger } = this.#cut;
    const completeFrom = Math.max(from, ...(ledger?.counters ?? []).map(([, complete]) => complete ?? from));
    const hours = await this.#tally(from, to, signal);
    for (const [hour, tally] of hours) {
      const isCounted = ledger !== undefined && ledger.episodes !== null && hour >= completeFrom;
      const isReported = isCounted && this.#judge(hour, tally);
      if (evidence !== undefined && hour >= evidenceFrom(evidence) && !isReported) {
        this.#judgeTaken(hour, tally, evidenceAt(evidence, hour));
      }
    }
  }

  async #tally(from: number, to: number, signal: AbortSignal): Promise<Map<number, HourTally>> {
    const { site, gateway, unsent, through, evidence } = this.#cut;
    const hours = new Map<number, HourTally>();
    const of = (at: number): HourTally => {
      const hour = Math.floor(at / COUNT_MS) * COUNT_MS;
      let tally = hours.get(hour);
      if (tally === undefined) {
        const none = { check: 0, through: 0, toldLater: false, untold: 0, newer: 0 };
        tally = { told: sums(), stored: sums(), ...none };
        hours.set(hour, tally);
      }
      return tally;
    };
    for (const hour of evidence?.hours ?? []) {
      if (hour * COUNT_MS >= from && hour * COUNT_MS < to) of(hour * COUNT_MS);
    }
    const range = { site, gateway, from: epochMs(from), to: epochMs(to) };
    const seen = new Set<string>();
    const anomaly = (row: (typeof unsent.anomalies)[number]): void => {
      const tally = of(row.openedAt);
      if (this.#isUntold(row.source)) tally.untold += 1;
      if (this.#isNewer(row.source)) tally.newer += 1;
      for (const phase of PHASES.slice(0, row.phase === 'closed' ? 2 : 1)) {
        tally.stored[phase].n += 1;
        addHash(tally.stored[phase].hash, textHash(row.id));
        tally.check = (tally.check + episodeCheck(row.id, phase)) >>> 0;
      }
    };
    for (const row of unsent.anomalies) {
      if (row.openedAt < from || row.openedAt >= to) continue;
      seen.add(row.id);
      anomaly(row);
    }
    await this.#store.scan({ table: 'anomaly', ...range }, (row) => void (seen.has(row.id) || anomaly(row)), signal);
    const told = new Set<string>();
    const counted = (row: (typeof unsent.episodes)[number]): void => {
      if (told.has(rowKey(row))) return;
      told.add(rowKey(row));
      const tally = of(row.hour);
      tally.through = Math.max(tally.through, orderOf(row.through));
      tally.toldLater ||= orderOf(row.through) > through;
      merge(tally.told.opened, row.opened, row.openedHash);
      merge(tally.told.closed, row.closed, row.closedHash);
    };
    for (const row of unsent.episodes) if (row.hour >= from && row.hour < to) counted(row);
    await this.#store.scan({ table: 'counted_episodes', ...range }, counted, signal);
    return hours;
  }

  /** Whether the episode's record came after the last one that the gateway had counted when it told of its episodes. */
  #isUntold(source: { readonly epoch: string; readonly number: number } | undefined): boolean {
    const told = this.#cut.ledger?.episodes;
    if (source === undefined || told === null || told === undefined) return false;
    if (source.epoch === told.epoch) return source.number > told.number;
    // The gateway began a new epoch and has told nothing in it, or this is newer than the cut.
    return source.epoch === this.#cut.sources.anomaly?.takenFrom || this.#isNewer(source);
  }

  /** Whether the cut does not know the episode's record. */
  #isNewer(source: { readonly epoch: string; readonly number: number } | undefined): boolean {
    return source !== undefined && source.number > floorOf(this.#cut.sources.anomaly, source.epoch);
  }

  /** Compares what was told of an hour with what is stored. @returns whether something was reported */
  #judge(hour: number, tally: HourTally): boolean {
    const { told, stored, through, toldLater, untold } = tally;
    const isMore = PHASES.some((phase) => stored[phase].n > told[phase].n + untold);
    // What is on its way, and what came behind what was told, may account for so many; what is missing beyond them is missing.
    const missing = PHASES.reduce((sum, phase) => sum + Math.max(0, told[phase].n - stored[phase].n), 0);
    const isLost = (this.#cut.ledger?.lost ?? []).some(({ lane }) => lane === 'anomaly');
    if (toldLater) {
      this.counts.inFlight += 1;
      return false;
    }
    if ((isMore && lostBehind(this.#cut, through)) || (missing > 0 && isLost)) {
      this.counts.uncounted += 1;
      return false;
    }
    const isOnTheWay = missing > 0 && missing <= this.#behind;
    if ((untold > 0 || isOnTheWay) && !isMore && missing <= this.#behind) {
      this.counts.inFlight += 1;
      return false;
    }
    this.counts.hours += 1;
    this.counts.opened += told.opened.n;
    this.counts.closed += told.closed.n;
    let isReported = false;
    for (const kind of PHASES) {
      const [said, found] = [told[kind], stored[kind]];
      if (said.n === found.n && said.hash.low === found.hash.low && said.hash.high === found.hash.high) continue;
      this.#differ(kind, hour, said, found);
      isReported = true;
    }
    return isReported;
  }

  #differ(kind: Phase, hour: number, said: Sum, found: Sum): void {
    this.#add(kind, hour, {
      told: { n: said.n, hash: hashText(said.hash) ?? null },
      stored: { n: found.n, hash: hashText(found.hash) ?? null },
      finding:
        said.n === found.n
          ? `${found.n} anomalies of that hour are stored as ${kind}, but not the ${said.n} that the gateway told`
          : `${found.n} anomalies of that hour are stored as ${kind}, the gateway told ${said.n}`,
      cause:
        found.n < said.n
          ? 'anomalies were removed or changed, or the store has refused them (dead letters)'
          : 'an anomaly is stored that the gateway did not tell, or the row in "counted_episodes" is gone',
    });
  }

  /** Compares what was taken of the episodes of an hour, which the checkpoint keeps, with what is stored. */
  #judgeTaken(hour: number, { stored, check, newer }: HourTally, taken: HourEvidence): void {
    // Where records were lost, the first one of an episode may have been among them: then more are stored.
    const isLost = (this.#cut.ledger?.lost ?? []).some(({ lane }) => lane === 'anomaly');
    const isFewer = (phase: Phase): boolean => stored[phase].n < taken[phase];
    const isSame =
      newer > 0 || isLost
        ? !PHASES.some((phase) => isFewer(phase) || (!isLost && stored[phase].n - newer > taken[phase]))
        : stored.opened.n === taken.opened && stored.closed.n === taken.closed && check === taken.episodes;
    if (isSame) return;
    const { opened, closed } = stored;
    this.#add('taken', hour, {
      told: { n: taken.opened, hash: null },
      stored: { n: opened.n, hash: null },
      finding: `${opened.n} anomalies of that hour are stored, ${closed.n} of them closed; the processor took ${taken.opened} that opened and ${taken.closed} that closed`,
      cause: PHASES.some(isFewer)
        ? 'anomalies were removed together with what the gateway had counted: the store was emptied, or an older copy of it put back'
        : 'anomalies were changed, or are stored that the processor did not take',
    });
  }

  #add(kind: Difference['kind'], hour: number, rest: Pick<Difference, 'told' | 'stored' | 'finding' | 'cause'>): void {
    const { site, gateway } = this.#cut;
    const [from, to] = [epochMs(hour), epochMs(hour + COUNT_MS)];
    this.#report({
      kind,
      site,
      gateway,
      sensor: null,
      size: null,
      from,
      to,
      ...rest,
      remedy:
        'look at the anomalies of that hour and at "dead-letters list"; "reprocess" over that time makes them again from what the stream holds',
    });
  }
}

function merge(sum: Sum, n: number, hash: string): void {
  sum.n += n;
  addHash(sum.hash, hashOf(hash));
}
