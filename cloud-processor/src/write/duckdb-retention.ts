import type { DuckDBConnection } from '@duckdb/node-api';
import { epochMs, hours } from '@floorwatch/contracts';
import type { RetentionStatus } from '@floorwatch/contracts/api';
import { type Logger, messageOf } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import { timestamp } from './duckdb-tables.ts';
import type { RetentionClock } from './retention-clock.ts';
import { deletableBefore, isExpired, passEnd, type RetentionFacts, waitsForAgreement } from './retention-plan.ts';
import type { Retention, StoredRow } from './stored-row.ts';
import { TABLE_NAMES, tableOf } from './tables.ts';

/** Event time whose rows are deleted in one transaction, so that no anomaly waits long behind it. */
const SLICE_MS = hours(1);

/** Tables with rows for as long as the configuration says. Running values are kept for hours, and written again while their window is open. */
const KEPT = TABLE_NAMES.filter((name) => name !== 'window_live');

/** What a reading or an episode becomes. The rest is no reason to write what is too old into a store in which nothing is yet. */
const LENIENT: ReadonlySet<string> = new Set(['window', 'anomaly']);

/** What a person has agreed to is about the rows of this file, and stays with it. */
export const CREATE_RETENTION = 'CREATE TABLE IF NOT EXISTS retention (agreed_before TIMESTAMP NOT NULL)';

/** Runs work on the one connection that writes, when every earlier write is done. */
export type Exclusively = (work: (writer: DuckDBConnection) => Promise<void>) => Promise<void>;

/**
 * Deletes rows that are too old: once an hour, at most a day of them, and nothing at all while more is due than a person has agreed to. The
 * first pass comes an hour after the start, so that a processor that starts again and again deletes nothing.
 */
export class DuckdbRetention {
  readonly #kept: Retention;
  readonly #clock: RetentionClock;
  readonly #logger: Logger;
  readonly #ticks: () => number;
  #nextPassAt = 0;
  #looked = false;
  #oldest = Infinity;
  #agreedBefore = -Infinity;
  #deleted = 0;
  #told = false;

  /** @param ticks milliseconds of a clock that never steps: passes go by it. */
  constructor(kept: Retention, clock: RetentionClock, logger: Logger, ticks: () => number) {
    this.#kept = kept;
    this.#clock = clock;
    this.#logger = logger;
    this.#ticks = ticks;
  }

  /** To be called when the file is open. */
  async begin(reader: DuckDBConnection): Promise<void> {
    this.#nextPassAt = this.#ticks() + processorLimits.retentionEveryMs;
    const agreed = await reader.runAndReadAll('SELECT epoch_ms(max(agreed_before)) FROM retention');
    this.#agreedBefore = msOf(agreed.getRows()[0]?.[0]) ?? -Infinity;
    // The first write already asks what is too old, and a full store that nobody has looked into would count as empty.
    await this.#look(reader);
    this.#looked = false;
  }

  /** Whether {@link work} has something to do. */
  get isDue(): boolean {
    return !this.#looked || this.#ticks() >= this.#nextPassAt;
  }

  /** Looks what is due, and deletes a day of it if it is time. Never throws: what fails is tried again in an hour. */
  async work(exclusively: Exclusively): Promise<void> {
    const isPass = this.#ticks() >= this.#nextPassAt;
    if (isPass) this.#nextPassAt = this.#ticks() + processorLimits.retentionEveryMs;
    this.#looked = true;
    try {
      await exclusively(async (writer) => this.#look(writer));
      if (!isPass || this.status().waits) return;
      const from = this.#oldest;
      await this.#delete(exclusively, KEPT, from, passEnd(this.#facts));
      await this.#deleteLive(exclusively);
      await exclusively(async (writer) => this.#look(writer));
    } catch (error) {
      this.#logger.warn(
        { error: messageOf(error) },
        'rows past their retention can not be dropped; trying again in an hour',
      );
    }
  }

  /** Whether a row of that time is too old to be written. */
  isExpired(table: string, time: number): boolean {
    const facts = this.#facts;
    if (LENIENT.has(table)) return isExpired(time, facts);
    if (table !== 'window_live') return time < deletableBefore(facts);
    return !this.status().waits && time < this.#clock.now - this.#kept.live;
  }

  /** Rows are written. */
  wrote(rows: readonly StoredRow[]): void {
    for (const { row } of rows) {
      if (row.table !== 'window_live') this.#oldest = Math.min(this.#oldest, tableOf(row).time(row));
    }
  }

  /** Rows of before may be gone; −Infinity: none. */
  get mayLackBefore(): number {
    return deletableBefore(this.#facts);
  }

  status(): RetentionStatus {
    const { tooOldBefore, oldest, agreedBefore } = this.#facts;
    return {
      keptMs: this.#kept.main,
      tooOldBefore: known(tooOldBefore),
      oldest: known(oldest),
      dueMs: Math.max(0, oldest === Infinity ? 0 : tooOldBefore - oldest, 0),
      waits: waitsForAgreement(this.#facts),
      agreedBefore: known(agreedBefore),
      deleted: this.#deleted,
    };
  }

  /** A person agrees that rows of before are deleted. */
  async agree(before: number, exclusively: Exclusively): Promise<void> {
    await exclusively(async (writer) => {
      // Killed in between, it has to be agreed to once more.
      await writer.run('DELETE FROM retention');
      await writer.run('INSERT INTO retention VALUES ($1)', [timestamp(before)]);
    });
    this.#agreedBefore = before;
    this.#told = false;
    this.#logger.warn(
      { before: new Date(before).toISOString() },
      'a person has agreed that rows of before are deleted',
    );
  }

  get #facts(): RetentionFacts {
    const tooOldBefore = this.#kept.main === 0 ? -Infinity : this.#clock.now - this.#kept.main;
    return { tooOldBefore, oldest: this.#oldest, agreedBefore: this.#agreedBefore };
  }

  async #look(reader: DuckDBConnection): Promise<void> {
    const oldest = KEPT.map((table) => `SELECT min(time) AS time FROM "${table}"`).join(' UNION ALL ');
    const result = await reader.runAndReadAll(`SELECT epoch_ms(min(time)) FROM (${oldest})`);
    this.#oldest = msOf(result.getRows()[0]?.[0]) ?? Infinity;
    const { waits, dueMs } = this.status();
    if (waits && !this.#told) {
      this.#logger.error(
        { days: Math.floor(dueMs / 86_400_000) },
        'more rows are due to be deleted than a person has agreed to, so none are: a clock may be wrong; see /healthz',
      );
    }
    this.#told = waits;
  }

  async #deleteLive(exclusively: Exclusively): Promise<void> {
    let oldest = Infinity;
    await exclusively(async (writer) => {
      const result = await writer.runAndReadAll('SELECT epoch_ms(min(time)) FROM window_live');
      oldest = msOf(result.getRows()[0]?.[0]) ?? Infinity;
    });
    const end = Math.min(this.#clock.now - this.#kept.live, oldest + processorLimits.retentionPassMs);
    await this.#delete(exclusively, ['window_live'], oldest, end);
  }

  /** Deletes rows of `tables` that begin before `end`, the oldest of which is of `from`. */
  async #delete(exclusively: Exclusively, tables: readonly string[], from: number, end: number): Promise<void> {
    for (let at = from; at < end; at += SLICE_MS) {
      const before = timestamp(Math.min(end, at + SLICE_MS));
      await exclusively(async (writer) => {
        for (const table of tables) {
          const { rowsChanged } = await writer.run(`DELETE FROM "${table}" WHERE time < $1`, [before]);
          this.#deleted += rowsChanged;
          if (rowsChanged > 0) this.#logger.info({ table, rows: rowsChanged }, 'dropped rows past their retention');
        }
      });
    }
  }
}

const known = (at: number) => (Number.isFinite(at) ? epochMs(at) : null);

/** What `epoch_ms` gives; undefined: NULL. */
const msOf = (value: unknown): number | undefined => (typeof value === 'bigint' ? Number(value) : undefined);
