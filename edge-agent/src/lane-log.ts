/** An item with its number: what {@link LaneLog.read} gives. */
export interface LaneItem {
  /** Counted from 1 within the log's epoch. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

/**
 * The output of one lane that the cloud does not have yet, in order. An append-only log of opaque items: what they mean is the
 * business of those who write and read them. Numbers are given by position, beginning at 1, without holes.
 *
 * One writer and one reader.
 */
export interface LaneLog {
  /** The number that the next appended item gets. */
  readonly next: number;
  /** Number of the oldest item held; equals {@link next} when the log is empty. */
  readonly first: number;
  /** Bytes held. */
  readonly bytes: number;
  /** What the log may hold. */
  readonly bytesMax: number;
  /**
   * Whether the log has taken what it may. The pipeline then takes no new input; the output of the step in hand is still taken
   * (one delivery or one tick), so that nothing is lost half-way.
   */
  readonly full: boolean;
  /** Takes all items together, or throws and takes none. Once it resolves they are as safe as this log makes things. */
  append(items: readonly Uint8Array[]): Promise<void>;
  /** Items from `from` on, at least one if there is any, else as many as fit into `bytesMax` together and `itemsMax`. */
  read(from: number, bytesMax: number, itemsMax: number): readonly LaneItem[];
  /** Items up to `through` are not needed any more. */
  release(through: number): void;
  /** Resolves when there is an item with number `from`, or `signal` aborts. */
  waitForItem(from: number, signal: AbortSignal): Promise<void>;
  /** Resolves when the log is not {@link full}, or `signal` aborts. */
  waitForRoom(signal: AbortSignal): Promise<void>;
}
