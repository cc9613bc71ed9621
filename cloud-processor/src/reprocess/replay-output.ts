import type { Row } from '@floorwatch/contracts';

/** Where the rows of a replay go. */
export interface ReplayOutput {
  /** Nothing is to be written: rows are compared and counted. */
  readonly isDry: boolean;
  /** The newest value of a key that the store has not confirmed. */
  unsent(key: string): Row | undefined;
  /** Lets a row out to the store; resolves when there is room for it. */
  put(row: Row): Promise<void>;
}

/**
 * What the store has not confirmed of these keys. To be asked before the store is: what it confirms while it answers may be missing in the
 * answer, and is no longer unsent afterwards.
 */
export function unsentOf(output: ReplayOutput, keys: readonly string[]): ReadonlyMap<string, Row> {
  const found = new Map<string, Row>();
  for (const key of keys) {
    const row = output.unsent(key);
    if (row !== undefined) found.set(key, row);
  }
  return found;
}
