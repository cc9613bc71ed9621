/** What a partition remembers of the stream. */
export interface StreamCursor {
  /** When the stream was created, as the server writes it; null before the first message. */
  readonly created: string | null;
  /** Sequence of the last message that was applied; 0 before the first. */
  readonly position: number;
  /** CRC-32 of that message's bytes. */
  readonly digest: number | null;
}

/** The stream as it is now. */
export interface StreamNow {
  readonly created: string;
  readonly firstSequence: number;
  /** 0 for a stream that never held a message. */
  readonly lastSequence: number;
  /** CRC-32 of the message at the remembered position; null: it is no longer there. */
  readonly digestAtPosition: number | null;
}

/**
 * Where reading begins. `recreated`: another stream stands in the place of the remembered one. `rolled-back`: the same stream has lost
 * messages at its end (a power cut does that), and their sequences may be in use again. `trimmed`: messages behind the position were
 * dropped; the numbers of the records tell whether any of them was this partition's.
 */
export interface StartDecision {
  readonly from: number;
  readonly why: 'first-start' | 'continue' | 'recreated' | 'rolled-back' | 'trimmed';
}

/**
 * Compares what is remembered of the stream with the stream. An ordered consumer that starts behind the end of a stream gives no
 * messages and no error, so this must be asked before every start of one.
 */
export function chooseStart(remembered: StreamCursor, now: StreamNow): StartDecision {
  const first = Math.max(1, now.firstSequence);
  if (remembered.created === null) return { from: first, why: 'first-start' };
  if (remembered.created !== now.created) return { from: first, why: 'recreated' };
  if (now.lastSequence < remembered.position) return { from: first, why: 'rolled-back' };
  if (remembered.position >= first && remembered.digest !== null && now.digestAtPosition !== remembered.digest) {
    // The position may have been deleted singly by an operator; only other bytes in its place prove that it is another message.
    if (now.digestAtPosition !== null) return { from: first, why: 'rolled-back' };
  }
  if (first > remembered.position + 1) return { from: first, why: 'trimmed' };
  return { from: remembered.position + 1, why: 'continue' };
}
