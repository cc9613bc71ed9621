import { randomUUID } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { ParquetQuery, Store } from '../write/store.ts';
import type { ExportSource } from './export-stream.ts';
import { TooLongError, UnsupportedError } from './failures.ts';
import { serveLimits } from './limits.ts';
import { QueryError } from './query-reader.ts';

const CHUNK_BYTES = 64 * 1024;

/** A Parquet file that nobody finds any more: it is gone when `source` is closed. */
export interface ParquetFile {
  readonly bytes: number;
  readonly source: ExportSource;
}

/** The limits that a test sets otherwise; see {@link serveLimits}. */
export type ParquetFileLimits = { readonly [K in 'exportParquetRowsMax' | 'exportParquetMs']: number };

/** Has the store write Parquet files into a folder of the processor's own, which is emptied first: a kill may have left something. */
export class ParquetFiles {
  readonly #store: Pick<Store, 'exportParquet'>;
  readonly #directory: string;
  readonly #limits: ParquetFileLimits;
  #emptied: Promise<void> | undefined;

  constructor(store: Pick<Store, 'exportParquet'>, directory: string, limits: ParquetFileLimits = serveLimits) {
    this.#store = store;
    this.#directory = directory;
    this.#limits = limits;
  }

  /**
   * Makes a file. What is unlinked is gone with its last handle, so neither a client that leaves nor a kill leaves one behind.
   *
   * @param left aborts when the client does not wait any longer.
   * @throws UnsupportedError, QueryError, TooLongError, StoreError
   */
  async make(query: ParquetQuery, left: AbortSignal): Promise<ParquetFile> {
    if (this.#store.exportParquet === undefined) {
      throw new UnsupportedError(
        'only the embedded store (store.kind: duckdb) writes Parquet',
        'use format=ndjson, or ask InfluxDB itself',
      );
    }
    await (this.#emptied ??= this.#empty());
    const { exportParquetRowsMax: rowsMax, exportParquetMs } = this.#limits;
    const file = join(this.#directory, `${randomUUID()}.parquet`);
    const late = AbortSignal.timeout(exportParquetMs);
    try {
      const outcome = await this.#store.exportParquet(query, file, { rowsMax }, AbortSignal.any([left, late]));
      if (outcome.kind === 'too-many') {
        const remedy = `ask for at most ${rowsMax} at once: a shorter range, or fewer sensors`;
        throw new QueryError('to', String(query.to), `makes a file of ${outcome.rows} rows`, remedy);
      }
      return await this.#take(file);
    } catch (error) {
      if (left.aborted) throw new TooLongError('nobody waits for the file any more');
      if (late.aborted && error === late.reason) {
        throw new TooLongError(
          `the file was not ready after ${exportParquetMs / 1_000} s; ask for a shorter range, or use format=ndjson`,
        );
      }
      throw error;
    } finally {
      await rm(file, { force: true });
    }
  }

  async #empty(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }

  async #take(file: string): Promise<ParquetFile> {
    const handle = await open(file);
    const { size } = await handle.stat();
    const next = async (): Promise<Uint8Array | undefined> => {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null);
      return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
    };
    return { bytes: size, source: { next, closed: () => void handle.close().catch(() => undefined) } };
  }
}
