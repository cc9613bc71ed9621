import { addHash, COUNT_MS, epochMs, hashOf, type HashSum, hashText, noHashes, textHash } from '@floorwatch/contracts';

import { orderOf } from '../window/record-order.ts';
import { rowKey } from '../write/row-key.ts';
import type { Store } from '../write/store.ts';
import { floorOf, type GatewayCut, lostBehind } from './cut.ts';
import type { Difference } from './report.ts';

interface Sum {
  n: number;
  readonly hash: HashSum;
}

interface HourTally {
  readonly told: { readonly opened: Sum; readonly closed: Sum };
  readonly stored: { readonly opened: Sum; readonly closed: Sum };
  /** Of the newest tick that told of it; 0: none did. */
  through: number;
  /** Something of it is newer than what was told, or than the cut. */
  moved: boolean;
}

const nothing = (): Sum => ({ n: 0, hash: noHashes() });

/** Compares what one gateway told of its episodes with the anomalies that are stored, by the hour in which they opened. */
export class EpisodeComparer {
  readonly counts = { opened: 0, closed: 0, hours: 0, inFlight: 0, uncounted: 0 };
  readonly #cut: GatewayCut;
  readonly #store: Pick<Store, 'scan'>;
  readonly #report: (difference: Difference) => void;

  constructor(cut: GatewayCut, store: Pick<Store, 'scan'>, report: (difference: Difference) => void) {
    this.#cut = cut;
    this.#store = store;
    this.#report = report;
  }

  /** Compares the hours in [from, to), which are few enough to be kept in memory. */
  async compare(from: number, to: number, signal: AbortSignal): Promise<void> {
    const counters = this.#cut.ledger?.counters ?? [];
    const told = this.#cut.ledger?.episodes ?? null;
    const completeFrom = Math.max(from, ...counters.map(([, complete]) => complete ?? from));
    if (told === null || completeFrom >= to) return;
    const hours = await this.#tally(completeFrom, to, signal);
    // The lane has not brought all that was told: less may be stored for a while.
    const isBehind = floorOf(this.#cut.sources.anomaly, told.epoch) < told.number;
    for (const [hour, tally] of hours) {
      if (tally.moved) this.counts.inFlight += 1;
      else this.#judge(hour, tally, isBehind);
    }
  }

  async #tally(from: number, to: number, signal: AbortSignal): Promise<Map<number, HourTally>> {
    const { site, gateway, unsent, through } = this.#cut;
    const hours = new Map<number, HourTally>();
    const of = (at: number): HourTally => {
      const hour = Math.floor(at / COUNT_MS) * COUNT_MS;
      let tally = hours.get(hour);
      if (tally === undefined) {
        const sums = () => ({ opened: nothing(), closed: nothing() });
        tally = { told: sums(), stored: sums(), through: 0, moved: false };
        hours.set(hour, tally);
      }
      return tally;
    };
    const range = { site, gateway, from: epochMs(from), to: epochMs(to) };
    const seen = new Set<string>();
    const anomaly = (row: (typeof unsent.anomalies)[number]): void => {
      const tally = of(row.openedAt);
      tally.moved ||= this.#isNewer(row.source);
      add(tally.stored.opened, row.id);
      if (row.phase === 'closed') add(tally.stored.closed, row.id);
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
      tally.moved ||= orderOf(row.through) > through;
      merge(tally.told.opened, row.opened, row.openedHash);
      merge(tally.told.closed, row.closed, row.closedHash);
    };
    for (const row of unsent.episodes) if (row.hour >= from && row.hour < to) counted(row);
    await this.#store.scan({ table: 'counted_episodes', ...range }, counted, signal);
    return hours;
  }

  /** Whether the episode's record came after the last one that the gateway had counted when it told of its episodes. */
  #isNewer(source: { readonly epoch: string; readonly number: number } | undefined): boolean {
    const told = this.#cut.ledger?.episodes;
    if (source === undefined || told === null || told === undefined) return false;
    if (source.epoch === told.epoch) return source.number > told.number;
    // The gateway began a new epoch and has told nothing in it, or this is newer than the cut.
    return (
      source.epoch === this.#cut.sources.anomaly?.takenFrom || floorOf(this.#cut.sources.anomaly, source.epoch) === 0
    );
  }

  #judge(hour: number, { told, stored, through }: HourTally, isBehind: boolean): void {
    const isMore = stored.opened.n > told.opened.n || stored.closed.n > told.closed.n;
    const isLess = stored.opened.n < told.opened.n || stored.closed.n < told.closed.n;
    const isLost = (this.#cut.ledger?.lost ?? []).some(({ lane }) => lane === 'anomaly');
    if ((isMore && lostBehind(this.#cut, through)) || (isLess && isLost)) {
      this.counts.uncounted += 1;
      return;
    }
    if (isLess && isBehind) {
      this.counts.inFlight += 1;
      return;
    }
    this.counts.hours += 1;
    this.counts.opened += told.opened.n;
    this.counts.closed += told.closed.n;
    for (const kind of ['opened', 'closed'] as const) {
      const [said, found] = [told[kind], stored[kind]];
      if (said.n === found.n && said.hash.low === found.hash.low && said.hash.high === found.hash.high) continue;
      const { site, gateway } = this.#cut;
      const [from, to] = [epochMs(hour), epochMs(hour + COUNT_MS)];
      const place = { sensor: null, size: null, from, to };
      this.#report({
        kind,
        site,
        gateway,
        ...place,
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
        remedy:
          'look at the anomalies of that hour and at "dead-letters list"; "reprocess" over that time makes them again from what the stream holds',
      });
    }
  }
}

function add(sum: Sum, id: string): void {
  sum.n += 1;
  addHash(sum.hash, textHash(id));
}

function merge(sum: Sum, n: number, hash: string): void {
  sum.n += n;
  addHash(sum.hash, hashOf(hash));
}
