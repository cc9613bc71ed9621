import type { LiveWindowRow } from '@floorwatch/contracts';
import { type Logger, messageOf } from '@floorwatch/runtime';

import { processorLimits } from '../limits.ts';
import type { RowWriter } from './bounded-writes.ts';

/** Where running values come from: one partition. */
export interface LiveSource {
  takeChanged(max: number): readonly LiveWindowRow[];
}

/**
 * Writes the running values of open windows. They are worth something only while they are fresh, so they are never kept: a round is
 * left out while the one before is under way, and what the store does not take is dropped and counted.
 */
export class LiveWriter {
  readonly #store: RowWriter;
  readonly #logger: Logger;
  #busy = false;
  written = 0;
  dropped = 0;
  roundsLeftOut = 0;

  constructor(store: RowWriter, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  /** Writes what changed in `sources`. Returns at once if the last round is not done. */
  async round(sources: readonly LiveSource[], signal: AbortSignal): Promise<void> {
    if (this.#busy) {
      this.roundsLeftOut++;
      return;
    }
    this.#busy = true;
    try {
      for (const source of sources) {
        const rows = source.takeChanged(processorLimits.liveRowsPerRoundMax);
        for (let from = 0; from < rows.length && !signal.aborted; from += processorLimits.writeRowsMax) {
          await this.#write(rows.slice(from, from + processorLimits.writeRowsMax), signal);
        }
      }
    } finally {
      this.#busy = false;
    }
  }

  async #write(rows: readonly LiveWindowRow[], signal: AbortSignal): Promise<void> {
    try {
      const outcome = await this.#store.write(rows, signal);
      const refused = outcome.kind === 'partial' ? outcome.refused.length : 0;
      this.dropped += refused;
      this.written += rows.length - refused;
    } catch (error) {
      this.dropped += rows.length;
      this.#logger.debug(
        { rows: rows.length, error: messageOf(error) },
        'running values dropped; the store did not take them',
      );
    }
  }
}
