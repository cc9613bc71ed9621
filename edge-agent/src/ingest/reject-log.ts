import type { EpochMs } from '@floorwatch/contracts';

import { limits } from '../limits.ts';
import type { RawMessage } from './raw-message.ts';
import { REJECT_REASON_NAMES, REJECT_REASONS, type RejectReason } from './reject.ts';

/** A rejected message as a person sees it. */
export interface RejectView {
  readonly at: EpochMs;
  readonly reason: RejectReason;
  readonly remedy: string;
  /** Shortened and escaped, like `excerpt`. */
  readonly topic: string;
  /** Which reading of the message it was, where it holds several: the first that was rejected for this reason. Null: all of it. */
  readonly part: string | null;
  /** The beginning of the payload. */
  readonly excerpt: string;
  readonly payloadBytes: number;
}

/** What is kept of a rejected message until someone looks. */
interface Kept {
  readonly at: EpochMs;
  readonly reason: RejectReason;
  readonly topic: string;
  readonly part: string | undefined;
  readonly head: Uint8Array;
  readonly payloadBytes: number;
}

/** Counts every reject by reason and remembers the last ones. */
export class RejectLog {
  readonly #counts = new Map<RejectReason, number>(REJECT_REASON_NAMES.map((reason) => [reason, 0]));
  /** A ring: the oldest stands at `#next` once it is full. */
  readonly #kept: Kept[] = [];
  #next = 0;
  #total = 0;

  /**
   * @param part which reading of the message it is; undefined: all of it.
   * @param count readings of the message that are rejected for this reason.
   */
  add(message: RawMessage, reason: RejectReason, part?: string, count = 1): void {
    this.#total += count;
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + count);
    this.#kept[this.#next] = {
      at: message.receivedAt,
      reason,
      topic: message.topic.slice(0, limits.excerptLengthMax + 1),
      part,
      // A copy: the payload is a part of what the socket received together, which would be kept with it.
      head: message.payload.slice(0, limits.excerptLengthMax + 1),
      payloadBytes: message.payload.length,
    };
    this.#next = (this.#next + 1) % limits.rejectsShownMax;
  }

  get total(): number {
    return this.#total;
  }

  /** How many there were, for every reason. */
  get counts(): ReadonlyMap<RejectReason, number> {
    return this.#counts;
  }

  /** The last rejects, newest first. */
  last(): readonly RejectView[] {
    const oldestFirst = [...this.#kept.slice(this.#next), ...this.#kept.slice(0, this.#next)];
    return oldestFirst.toReversed().map(({ at, reason, topic, part, head, payloadBytes }) => ({
      at,
      reason,
      remedy: REJECT_REASONS[reason],
      topic: excerptOf(topic),
      part: part === undefined ? null : excerptOf(part),
      excerpt: excerptOf(new TextDecoder().decode(head), head.length),
      payloadBytes,
    }));
  }
}

/** At most `excerptLengthMax` characters of `text`, with everything that does not show as itself written as `\u{…}`. */
function excerptOf(text: string, length = text.length): string {
  const shown = Array.from(text.slice(0, limits.excerptLengthMax))
    .map((c) => (/[\p{C}\p{Zl}\p{Zp}]/u.test(c) ? `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}` : c))
    .join('');
  return length > limits.excerptLengthMax ? `${shown}…` : shown;
}
