import { SentLedger } from './sent-ledger.ts';

/**
 * Why sending went back.
 *
 * - `hole`: the processor has later numbers and lacks these.
 * - `not-applied`: it has read past the place of what it lacks.
 * - `stream-changed`: the stream was made anew, or has become shorter.
 * - `unknown-epoch`: it speaks of an epoch that this gateway never wrote.
 */
export const REWIND_REASONS = ['hole', 'not-applied', 'stream-changed', 'unknown-epoch'] as const;
export type RewindReason = (typeof REWIND_REASONS)[number];

/** What a floor message says of one lane, in positions of the lane. */
export interface HeardFloor {
  /** The series of checkpoints that it comes from. */
  readonly series: string;
  /** When the stream was created; null: the processor has not seen it. */
  readonly created: string | null;
  /** Sequence of the last message that the processor's checkpoint contains. */
  readonly streamPosition: number;
  /** The last position that is safe; `none`: no epoch has begun; `foreign`: its epoch is not one of this gateway. */
  readonly through: number | 'none' | 'foreign';
  /** Whether something behind `through` was heard that could not be applied. */
  readonly hole: boolean;
  /**
   * Not all that was said of the lane can be true. It lets sending go on, but passes over nothing that is to be sent, and nothing may be deleted
   * because of it, nor because of what was said just before.
   */
  readonly isDoubtful: boolean;
}

/** How far the lane itself reaches. */
export interface LaneExtent {
  /** Where a processor that knows nothing of this gateway can begin. */
  readonly beginning: number;
  /** Position that the next item gets. */
  readonly next: number;
}

export interface LaneCursorOptions {
  /** The position to begin with. */
  readonly next: number;
  /** What was sent before the start and may be uncommitted: positions `from` … `next − 1`, and about how many bytes. */
  readonly earlier: { readonly from: number; readonly bytes: number };
  readonly graceMs: number;
  readonly uncommittedBytesMax: number;
  /** Bytes of the largest batch. */
  readonly batchBytesMax: number;
}

/** The first pause before the same position is sent for the third time; each further time doubles it, up to the grace period. */
const STUCK_MS = 10_000;
/** Floors are remembered for trimming at most this often within a grace period. */
const MARKS_MAX = 30;

/**
 * Decides what a lane sends next and what it may delete: it hears what JetStream acknowledged and what processors say, and does no I/O.
 *
 * One rule finds what was lost on the way. Of every batch it is known where in the stream it stands. When the processor has read up to there
 * and the position behind its floor is still not applied, it was lost, and sending goes back to it. So a rewind is not followed by another
 * until the processor has read what was sent again. Where the place in the stream is not known (it was sent before the start, or the stream
 * is another one), a reported hole is believed at once, and otherwise the place of the newest acknowledged batch serves.
 *
 * Times are milliseconds of a clock that never goes back.
 */
export class LaneCursor {
  readonly #options: LaneCursorOptions;
  readonly #sent = new SentLedger();
  #next: number;
  /** Sequence of the newest acknowledgement since the start. */
  #lastSeq: number | undefined;
  #series: string | undefined;
  #created: string | undefined;
  #streamPosition = 0;
  /** The last position that the current series of checkpoints has called safe. */
  #floor: number | undefined;
  #foreign = false;
  /** Whether sending began anew for the sake of a foreign epoch in this series. */
  #begunAnew = false;
  /** Floors heard, and when, the oldest first; what is older than the grace period may be trimmed. */
  #marks: { readonly through: number; readonly at: number }[] = [];
  #rewound: { readonly to: number; readonly at: number; readonly times: number } | undefined;

  constructor(options: LaneCursorOptions) {
    this.#options = options;
    this.#next = options.next;
    const { from, bytes } = options.earlier;
    if (from < options.next) this.#sent.add(from, options.next - 1, bytes, undefined);
  }

  /** The position to send next. */
  get next(): number {
    return this.#next;
  }

  /** The last position that is known to be safe in the cloud. */
  get floor(): number | undefined {
    return this.#floor;
  }

  /** Bytes sent and not committed. */
  get uncommittedBytes(): number {
    return this.#sent.bytes;
  }

  /** Whether the processor speaks of an epoch that this gateway never wrote; there is no limit then. */
  get isForeign(): boolean {
    return this.#foreign;
  }

  /** Whether nothing new may be sent until more is committed. Not before something was acknowledged: only that shows what got lost. */
  get isHeld(): boolean {
    const { uncommittedBytesMax, batchBytesMax } = this.#options;
    return !this.#foreign && this.#lastSeq !== undefined && this.#sent.bytes + batchBytesMax > uncommittedBytesMax;
  }

  /** How often sending went back to the same position without the processor taking it. */
  get fruitlessRewinds(): number {
    return this.#rewound === undefined || (this.#floor ?? 0) >= this.#rewound.to ? 0 : this.#rewound.times - 1;
  }

  /** JetStream has positions `from` … `to` at `seq`. What was sent before a rewind and acknowledged after it counts for nothing. */
  acknowledged(from: number, to: number, bytes: number, seq: number): void {
    this.#hearSequence(seq);
    if (from !== this.#next) return;
    this.#next = to + 1;
    this.#sent.add(from, to, bytes, seq);
  }

  /** A position that had been sent already was sent again while nothing else may be, and JetStream has it at `seq`. */
  probed(seq: number): void {
    this.#hearSequence(seq);
  }

  /** Goes on behind `to`: the lane does not know any more what lay before. */
  skip(to: number): void {
    this.#next = to + 1;
  }

  /** Takes in what a processor says. @returns why sending goes back, or undefined if it goes on. */
  hear(heard: HeardFloor, lane: LaneExtent, now: number): RewindReason | undefined {
    if (heard.series !== this.#series) {
      this.#series = heard.series;
      this.#streamPosition = 0;
      this.#begunAnew = false;
      this.#setFloor(undefined, now);
    }
    const streamChanged = this.#followStream(heard);
    this.#foreign = heard.through === 'foreign';
    if (typeof heard.through === 'number') {
      this.#setFloor(heard.isDoubtful ? Math.min(heard.through, this.#next - 1) : heard.through, now);
    } else if (heard.through === 'none') this.#setFloor(undefined, now);
    if (heard.isDoubtful) this.#marks = [];
    const wanted = this.#floor === undefined ? lane.beginning : this.#floor + 1;
    if (streamChanged) {
      this.#lastSeq = undefined;
      this.#sent.forgetSequences();
      return this.#rewind(wanted, 'stream-changed', now);
    }
    if (this.#foreign) {
      if (this.#floor === undefined && !this.#begunAnew) {
        this.#begunAnew = true;
        return this.#rewind(wanted, 'unknown-epoch', now);
      }
      // Its own epoch may be heard when everything has been sent.
      if (this.#next < lane.next) return undefined;
    }
    const hole = heard.hole && !this.#foreign;
    if (!this.#isLost(wanted, hole) || !this.#isTime(wanted, now)) return undefined;
    return this.#rewind(wanted, hole ? 'hole' : 'not-applied', now);
  }

  /** Something says that no more than this is safe, or that nothing is known to be; what says more must be older than that to count. */
  doubt(through: HeardFloor['through']): void {
    this.#marks = this.#marks.filter((mark) => typeof through === 'number' && mark.through <= through);
  }

  /** The last position that may be trimmed: a floor passed it and the grace period is over. Undefined: none that was not told before. */
  trimmable(now: number): number | undefined {
    let through: number | undefined;
    for (let [mark] = this.#marks; mark !== undefined && now - mark.at >= this.#options.graceMs; [mark] = this.#marks) {
      through = mark.through;
      this.#marks.shift();
    }
    return through;
  }

  /** A sequence that does not lie behind the last one: the stream lost its end, or is another one. What is lost shows at the next floor. */
  #hearSequence(seq: number): void {
    if (this.#lastSeq !== undefined && seq <= this.#lastSeq) this.#sent.forgetSequences();
    this.#lastSeq = seq;
  }

  /** Whether the stream was made anew, or the processor had to begin again at its first message. */
  #followStream({ created, streamPosition }: HeardFloor): boolean {
    if (created === null) return false;
    const changed = (this.#created !== undefined && this.#created !== created) || streamPosition < this.#streamPosition;
    this.#created = created;
    this.#streamPosition = streamPosition;
    return changed;
  }

  #setFloor(floor: number | undefined, now: number): void {
    this.#floor = floor;
    this.#marks = floor === undefined ? [] : this.#marks.filter(({ through }) => through <= floor);
    if (floor === undefined) return;
    this.#sent.drop(floor);
    if (floor >= this.#next) this.#next = floor + 1;
    const last = this.#marks.at(-1);
    const isDue = last === undefined || now - last.at >= this.#options.graceMs / MARKS_MAX;
    if (isDue && floor > (last?.through ?? 0)) this.#marks.push({ through: floor, at: now });
  }

  #isLost(wanted: number, hole: boolean): boolean {
    if (wanted >= this.#next) return false;
    const seq = this.#sent.seqOf(wanted);
    if (seq !== undefined) return this.#streamPosition >= seq;
    return hole || (this.#lastSeq !== undefined && this.#streamPosition >= this.#lastSeq);
  }

  #rewind(to: number, why: RewindReason, now: number): RewindReason | undefined {
    if (to >= this.#next) return undefined;
    const times = this.#rewound?.to === to ? this.#rewound.times + 1 : 1;
    this.#rewound = { to, at: now, times };
    this.#next = to;
    this.#sent.clear();
    return why;
  }

  /**
   * A position that the processor does not take, however often it gets it, must not keep the line busy; and two gateways of one name, each of
   * which hears the other's epochs, must not either.
   */
  #isTime(wanted: number, now: number): boolean {
    if (this.#rewound === undefined) return true;
    const times = (this.#rewound.to === wanted ? this.#rewound.times : 1) + Number(this.#foreign);
    const pauseMs = times < 2 ? 0 : Math.min(this.#options.graceMs, STUCK_MS * 2 ** Math.min(times - 2, 20));
    return now - this.#rewound.at >= pauseMs;
  }
}
