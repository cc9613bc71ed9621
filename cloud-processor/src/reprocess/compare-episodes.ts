import { isDeepStrictEqual } from 'node:util';

import { type AnomalyRow, epochMs, gatewayKey } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';
import { rowKey } from '../write/row-key.ts';
import { isOlder } from '../write/store-comparer.ts';
import type { Store } from '../write/store.ts';
import type { ReplayOutput } from './replay-output.ts';

/** What became of the episodes of a replay. */
export interface EpisodeCounts {
  /** The store holds exactly this, or a later value of the episode. */
  same: number;
  /** The store had none. */
  missing: number;
  /** The store held an older value, or another one. */
  changed: number;
}

/** Compares episodes of a replay with what the store holds, and lets out what is not behind. Each record tells a whole episode. */
export class EpisodeComparison {
  readonly #counts: EpisodeCounts;
  readonly #store: Pick<Store, 'anomalies'>;
  readonly #output: ReplayOutput;
  /** The newest value of each, by id. */
  readonly #episodes = new Map<string, AnomalyRow>();

  /** @param counts where it counts. */
  constructor(store: Pick<Store, 'anomalies'>, output: ReplayOutput, counts: EpisodeCounts) {
    this.#store = store;
    this.#output = output;
    this.#counts = counts;
  }

  async add(row: AnomalyRow): Promise<void> {
    const before = this.#episodes.get(row.id);
    if (before === undefined || !isOlder(row, before)) this.#episodes.set(row.id, row);
    if (this.#episodes.size >= processorLimits.replayedRowsMax) await this.compare();
  }

  /** Compares what was gathered. */
  async compare(): Promise<void> {
    const byGateway = new Map<string, AnomalyRow[]>();
    for (const row of this.#episodes.values()) {
      const key = gatewayKey(row.sensor);
      byGateway.set(key, [...(byGateway.get(key) ?? []), row]);
    }
    this.#episodes.clear();
    for (const rows of byGateway.values()) {
      const stored = await this.#storedOf(rows);
      for (const row of rows) await this.#settle(row, stored.get(row.id));
    }
  }

  async #storedOf(rows: readonly AnomalyRow[]): Promise<Map<string, AnomalyRow>> {
    const found = new Map<string, AnomalyRow>();
    const wanted = new Set(rows.map(({ id }) => id));
    const { site, gateway } = rows[0]!.sensor;
    const opened = rows.map(({ openedAt }) => openedAt).sort((a, b) => a - b);
    const [from, to] = [epochMs(opened[0]!), epochMs(opened.at(-1)! + 1)];
    for (let after: string | null | undefined; after !== null;) {
      const limit = processorLimits.readWindowsMax;
      const page = await this.#store.anomalies({
        site,
        gateway,
        from,
        to,
        limit,
        ...(after === undefined ? {} : { after }),
      });
      for (const row of page.items) if (wanted.has(row.id)) found.set(row.id, row);
      after = page.next;
    }
    return found;
  }

  async #settle(row: AnomalyRow, stored: AnomalyRow | undefined): Promise<void> {
    const unsent = this.#output.unsent(rowKey(row));
    const newest = unsent?.table === 'anomaly' ? unsent : stored;
    if (newest !== undefined && (isOlder(row, newest) || isDeepStrictEqual(newest, row))) {
      this.#counts.same += 1;
      return;
    }
    this.#counts[newest === undefined ? 'missing' : 'changed'] += 1;
    if (!this.#output.isDry) await this.#output.put(row);
  }
}
