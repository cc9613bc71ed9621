import type { DurationMs } from './time.ts';

/** A batch and the right to settle it. Exactly one of `ack` and `nack` is called, once. */
export interface Delivery<T> {
  readonly items: readonly T[];
  /** The next durable place has every item; the sender may forget them. */
  ack(): Promise<void>;
  /** Nothing of the batch was kept; the sender is asked to send it again, after `redeliverAfter` if given. */
  nack(why: Error, redeliverAfter?: DurationMs): Promise<void>;
}

/**
 * A part of a pipeline that holds something open. Constructors do nothing; `connect` may be called again after it failed;
 * `close` finishes the work in hand or reports what it leaves behind, and can be called in any state.
 */
export interface Stage {
  connect(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Where items come from. Not asking for the next delivery is the back pressure. */
export interface Source<T> extends Stage {
  /** Ends when `signal` aborts or the source is closed. */
  deliveries(signal: AbortSignal): AsyncIterable<Delivery<T>>;
}

/** An item that a sink will never accept. `expired`: older than it keeps items; `unfit`: it can't be said there at all. */
export interface RefusedItem {
  /** Its place in the batch. */
  readonly index: number;
  readonly code: 'expired' | 'unfit';
  /** For people. */
  readonly reason: string;
}

/** What became of a batch. `partial`: all is written except the items named. */
export type WriteOutcome =
  | { readonly kind: 'written' }
  | { readonly kind: 'partial'; readonly refused: readonly RefusedItem[] };

/** Where items go. */
export interface Sink<T> extends Stage {
  /** Writes a batch. Throws only when nothing is known to be written; the same batch may then be sent again. */
  write(batch: readonly T[], signal: AbortSignal): Promise<WriteOutcome>;
}

/** Takes the outputs of an {@link Operator}. */
export interface Collector<O> {
  emit(item: O): void;
}

/** A pure step of a pipeline: no clock, no network, no randomness of its own. */
export interface Operator<I, O> {
  accept(item: I, out: Collector<O>): void;
}
