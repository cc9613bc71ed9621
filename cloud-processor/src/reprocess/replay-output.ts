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
