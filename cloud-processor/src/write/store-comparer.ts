import {
  ANOMALY_PHASES,
  type AnomalyRow,
  epochMs,
  type Row,
  sensorId,
  SEVERITIES,
  type WindowRow,
} from '@floorwatch/contracts';
import { type Logger, messageOf, pause } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import { orderOf } from '../window/record-order.ts';
import type { Outbox } from './outbox.ts';
import { readWindows } from './read-windows.ts';
import type { Store } from './store.ts';

/** Episodes that can have opened on one sensor in the same millisecond: one of each detector, and room. */
const EPISODES_MAX = 100;

/**
 * After a start from a checkpoint that is not the newest, or from none: processes before may have stored more than is known here. Compares what
 * wants to leave with what the store has, and lets only that pass which the store is behind of.
 */
export class StoreComparer {
  readonly #outbox: Outbox;
  readonly #store: Pick<Store, 'windows' | 'anomalies'>;
  readonly #logger: Logger;
  /** Rows that the store had already, or newer ones. */
  dropped = 0;

  constructor(outbox: Outbox, store: Pick<Store, 'windows' | 'anomalies'>, logger: Logger) {
    this.#outbox = outbox;
    this.#store = store;
    this.#logger = logger;
  }

  /** Compares until `signal` aborts; begins after `waitMs`, when no request of the process before can land any more. */
  async run(waitMs: number, signal: AbortSignal): Promise<void> {
    await pause(waitMs, signal);
    while (!signal.aborted) {
      try {
        await this.round(signal);
        // More may have come while the store was asked.
        if (this.#outbox.unchecked.length === 0) await this.#outbox.changed(signal);
      } catch (error) {
        this.#logger.warn({ error: messageOf(error) }, 'the store can not be read: rows wait to be compared with it');
        await pause(processorLimits.retryPauseMsMax / 10, signal);
      }
    }
  }

  /** Compares what waits now. @throws StoreError if the store can't be read; what is left goes on waiting. */
  async round(signal: AbortSignal): Promise<void> {
    const windows = new Map<string, WindowRow[]>();
    for (const row of this.#outbox.unchecked) {
      if (signal.aborted) return;
      if (row.table === 'anomaly') await this.#compareEpisode(row);
      else if (row.table === 'window') {
        const key = `${sensorId(row.sensor)}\n${row.size}`;
        windows.set(key, [...(windows.get(key) ?? []), row]);
      }
    }
    for (const rows of windows.values()) {
      for (let from = 0; from < rows.length && !signal.aborted; from += processorLimits.readWindowsMax) {
        await this.#compareWindows(rows.slice(from, from + processorLimits.readWindowsMax));
      }
    }
  }

  async #compareWindows(rows: readonly WindowRow[]): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    const starts = rows.map(({ start }) => start).sort((a, b) => a - b);
    const stored = await readWindows(this.#store, first.sensor, first.size, starts);
    for (const row of rows) this.#settle(row, stored.get(row.start));
  }

  async #compareEpisode(row: AnomalyRow): Promise<void> {
    const { sensor, openedAt } = row;
    const query = { sensor, from: openedAt, to: epochMs(openedAt + 1), limit: EPISODES_MAX };
    const { items } = await this.#store.anomalies(query);
    this.#settle(
      row,
      items.find(({ id }) => id === row.id),
    );
  }

  #settle<R extends Row>(row: R, stored: R | undefined): void {
    const isBehind = stored === undefined || isOlder(stored, row);
    if (!isBehind) this.dropped++;
    this.#outbox.checked(row, isBehind);
  }
}

/** Whether `stored` is an older value than `row`, of the same key. */
export function isOlder(stored: Row, row: Row): boolean {
  const [before, now] = [ageOf(stored), ageOf(row)];
  const difference = now.findIndex((value, i) => value !== before[i]);
  return difference !== -1 && before[difference]! < now[difference]!;
}

/** What only grows from one value of a key to the next, the most telling first. */
function ageOf(row: Row): readonly number[] {
  if (row.table === 'window') return [row.through === undefined ? 0 : orderOf(row.through), row.revision];
  if (row.table === 'counted' || row.table === 'counted_episodes') return [orderOf(row.through)];
  if (row.table !== 'anomaly') return [];
  const { phase, readings, eventTime, severity, related } = row;
  return [
    Number(phase === 'closed'),
    readings,
    eventTime,
    SEVERITIES.indexOf(severity),
    related?.length ?? 0,
    ANOMALY_PHASES.indexOf(phase),
  ];
}
