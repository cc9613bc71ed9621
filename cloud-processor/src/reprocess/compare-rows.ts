import { isDeepStrictEqual } from 'node:util';

import { epochMs, gatewayKey, type GatewayName, type Row } from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';
import { rowKey } from '../write/row-key.ts';
import { isOlder } from '../write/store-comparer.ts';
import type { Store } from '../write/store.ts';
import { type ReplayOutput, unsentOf } from './replay-output.ts';

/** What became of rows of a replay. */
export interface RowCounts {
  /** The store holds exactly this, or a later value. */
  same: number;
  /** The store had none. */
  missing: number;
  /** The store held an older value, or another one. */
  changed: number;
}

/** Rows of which each record tells a whole one: episodes, and what gateways say that they have accepted. */
export type ToldRow = Extract<Row, { table: 'anomaly' | 'counted' | 'counted_episodes' }>;

/** Compares rows of one table with what the store holds, and lets out what is not behind. */
export class RowComparison {
  readonly #store: Pick<Store, 'scan'>;
  readonly #output: ReplayOutput;
  readonly #counts: RowCounts;
  readonly #signal: AbortSignal;
  /** The newest value of each, by key. */
  readonly #rows = new Map<string, ToldRow>();

  /** @param counts where it counts. */
  constructor(store: Pick<Store, 'scan'>, output: ReplayOutput, counts: RowCounts, signal: AbortSignal) {
    this.#store = store;
    this.#output = output;
    this.#counts = counts;
    this.#signal = signal;
  }

  async add(row: ToldRow): Promise<void> {
    const key = rowKey(row);
    const before = this.#rows.get(key);
    if (before === undefined || !isOlder(row, before)) this.#rows.set(key, row);
    if (this.#rows.size >= processorLimits.replayedRowsMax) await this.compare();
  }

  /** Compares what was gathered. */
  async compare(): Promise<void> {
    const groups = new Map<string, ToldRow[]>();
    for (const row of this.#rows.values()) {
      const key = `${row.table}\n${gatewayKey(gatewayOf(row))}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [row]);
      else group.push(row);
    }
    this.#rows.clear();
    for (const rows of groups.values()) {
      const unsent = unsentOf(this.#output, rows.map(rowKey));
      const stored = await this.#storedOf(rows);
      for (const row of rows) {
        const key = rowKey(row);
        await this.#settle(row, this.#output.unsent(key) ?? unsent.get(key) ?? stored.get(key));
      }
    }
  }

  /** What the store holds of rows of one table and gateway, by key. */
  async #storedOf(rows: readonly ToldRow[]): Promise<Map<string, ToldRow>> {
    const found = new Map<string, ToldRow>();
    const wanted = new Set(rows.map(rowKey));
    const times = rows.map(timeOf).sort((a, b) => a - b);
    const { site, gateway } = gatewayOf(rows[0]!);
    const query = { table: rows[0]!.table, site, gateway, from: epochMs(times[0]!), to: epochMs(times.at(-1)! + 1) };
    const take = (row: ToldRow): void => {
      if (wanted.has(rowKey(row))) found.set(rowKey(row), row);
    };
    await this.#store.scan(query, take, this.#signal);
    return found;
  }

  async #settle(row: ToldRow, newest: Row | undefined): Promise<void> {
    if (newest !== undefined && (isOlder(row, newest) || isDeepStrictEqual(newest, row))) {
      this.#counts.same += 1;
      return;
    }
    this.#counts[newest === undefined ? 'missing' : 'changed'] += 1;
    if (!this.#output.isDry) await this.#output.put(row);
  }
}

const gatewayOf = (row: ToldRow): GatewayName => (row.table === 'counted_episodes' ? row : row.sensor);

/** When a row's key says that it was: the opening, or the hour. */
export const timeOf = (row: ToldRow): number => (row.table === 'anomaly' ? row.openedAt : row.hour);
