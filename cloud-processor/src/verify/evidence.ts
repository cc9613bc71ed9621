import {
  type AnomalyRecord,
  COUNT_MS,
  type GatewayName,
  gatewayKey,
  rollupHashes,
  type RollupsRecord,
  type StatusRecord,
  textHash,
} from '@floorwatch/contracts';

import { processorLimits } from '../limits.ts';
import { type LostRange, LostRanges } from '../window/lost-ranges.ts';

/** What was taken from one gateway, as it is saved. */
export interface EvidenceSnapshot extends GatewayName {
  /** Start of the first event hour whose sums are whole, epoch milliseconds; null: all are, from the gateway's first record on. */
  readonly from: number | null;
  /** Records may have been taken by an earlier series of checkpoints: `from` is known with the next tick. */
  readonly pending: boolean;
  /** The newest report of itself, by its clock, epoch milliseconds; null: none was taken. */
  readonly reportedAt: number | null;
  /** The event hour that its ticks have come to, counted from the epoch; null: none was taken. */
  readonly reached: number | null;
  /** Event hours in front of it that have no sums although something was taken, as ranges with both ends. */
  readonly omitted: readonly LostRange[];
  /** Event hours with sums, counted from the epoch, in order. */
  readonly hours: readonly number[];
  /** {@link EVIDENCE_WORDS} per hour, in the order of `hours`. */
  readonly words: Uint32Array;
}

/** The sums of one event hour. All but the hash of a sum that nobody knows are exact modulo their size. */
export interface HourEvidence {
  /** Readings in the rollups that were taken, modulo 2^32, and the lower half of the sum of their hashes. */
  readonly readings: number;
  readonly hash: number;
  /** Records of episodes of this hour that say `opened` and `closed`, modulo 2^16. */
  readonly opened: number;
  readonly closed: number;
  /** {@link episodeCheck} of all of them together. */
  readonly episodes: number;
}

/** Words of 32 bits per hour: readings, hash, opened and closed in one, episodes. */
export const EVIDENCE_WORDS = 4;

const TWO_16 = 2 ** 16;
const INSTANT_MAX = 8_640_000_000_000_000;

/** "-2400000000,169,": the most that a span of hours takes as text. */
const SPAN_BYTES = 16;

/** What an episode adds to {@link HourEvidence.episodes}: each phase a half of the hash of its id. */
export const episodeCheck = (id: string, phase: 'opened' | 'closed'): number =>
  phase === 'opened' ? textHash(id).low : textHash(id).high;

/**
 * Sums, per gateway and event hour, of the readings and episodes in the records that were taken. Part of every checkpoint, and so apart
 * from the store, which `verify` judges by them: rows that are gone together with what gateways counted are missed here. Pure.
 */
export class Evidence {
  readonly #gateways = new Map<string, GatewayEvidence>();

  constructor(from: readonly EvidenceSnapshot[] = []) {
    for (const snapshot of from) this.#gateways.set(gatewayKey(snapshot), new GatewayEvidence(snapshot, snapshot));
  }

  #of(name: GatewayName): GatewayEvidence {
    const key = gatewayKey(name);
    let evidence = this.#gateways.get(key);
    if (evidence === undefined) {
      evidence = new GatewayEvidence(name);
      this.#gateways.set(key, evidence);
    }
    return evidence;
  }

  rollups(name: GatewayName, record: RollupsRecord): void {
    this.#of(name).rollups(record);
  }

  episode(name: GatewayName, record: Pick<AnomalyRecord, 'id' | 'phase' | 'openedAt'>): void {
    this.#of(name).episode(record);
  }

  report(name: GatewayName, record: Pick<StatusRecord, 'at'>): void {
    this.#of(name).report(record);
  }

  tick(name: GatewayName, watermark: number): void {
    this.#of(name).tick(watermark);
  }

  /** The gateway's rows may hold what was never taken here, or under two numbers: its sums begin again. */
  beginAgain(name: GatewayName): void {
    this.#of(name).beginAgain();
  }

  snapshot(): readonly EvidenceSnapshot[] {
    return Array.from(this.#gateways.values(), (evidence) => evidence.snapshot());
  }
}

/**
 * The sums of one gateway. Hours are in no order, because a device may send old readings or ones of the future; the last one used is
 * nearly always the next.
 *
 * Invariant: every hour at or behind `#from` that is neither here nor in `#omitted` has taken nothing, and no hour that can be compared is
 * omitted: those lie behind the hour after the watermark's.
 */
class GatewayEvidence {
  readonly #name: GatewayName;
  #from: number | null;
  #pending: boolean;
  #reportedAt: number | null;
  #reached: number | null;
  readonly #omitted: LostRanges;
  #hours: number[];
  #words: Uint32Array;
  #last = 0;
  /** The last snapshot, while nothing has changed since. */
  #saved: EvidenceSnapshot | undefined;

  constructor({ site, gateway }: GatewayName, from?: EvidenceSnapshot) {
    this.#name = { site, gateway };
    this.#from = from?.from ?? null;
    this.#pending = from?.pending ?? false;
    this.#reportedAt = from?.reportedAt ?? null;
    this.#reached = from?.reached ?? null;
    this.#omitted = new LostRanges(processorLimits.evidenceOmittedMax, from?.omitted);
    this.#hours = [...(from?.hours ?? [])];
    this.#words = from?.words.slice() ?? new Uint32Array(EVIDENCE_WORDS);
  }

  rollups(record: RollupsRecord): void {
    this.#saved = undefined;
    const { base, bucketMs, columns } = record;
    const { n, bucket } = columns;
    const hashes = rollupHashes(record);
    // Nearly all rollups of a record are of one hour.
    let [hour, readings, hash] = [Number.NaN, 0, 0];
    for (let index = 0; index < n.length; index++) {
      const at = Math.floor((base + bucket[index]! * bucketMs) / COUNT_MS);
      if (at !== hour) {
        this.#add(hour, readings, hash);
        hour = at;
        readings = 0;
        hash = 0;
      }
      readings += n[index]!;
      if (hashes !== undefined) hash += hashes[2 * index]!;
    }
    this.#add(hour, readings, hash);
  }

  #add(hour: number, readings: number, hash: number): void {
    const slot = this.#slotAt(hour * COUNT_MS);
    if (slot < 0) return;
    // Elements wrap by themselves.
    this.#words[slot]! += readings;
    this.#words[slot + 1]! += hash;
  }

  episode({ id, phase, openedAt }: Pick<AnomalyRecord, 'id' | 'phase' | 'openedAt'>): void {
    if (phase === 'updated') return;
    this.#saved = undefined;
    const slot = this.#slotAt(openedAt);
    if (slot < 0) return;
    const words = this.#words;
    const [opened, closed] = [words[slot + 2]! >>> 16, words[slot + 2]! % TWO_16];
    words[slot + 2] = phase === 'opened' ? (opened + 1) * TWO_16 + closed : opened * TWO_16 + ((closed + 1) % TWO_16);
    words[slot + 3]! += episodeCheck(id, phase);
  }

  report({ at }: Pick<StatusRecord, 'at'>): void {
    this.#saved = undefined;
    this.#reportedAt = Math.max(this.#reportedAt ?? -Infinity, at);
  }

  tick(watermark: number): void {
    this.#reach(Math.floor(watermark / COUNT_MS));
    if (!this.#pending) return;
    this.#saved = undefined;
    this.#pending = false;
    // What was taken before may lie in the hour of the watermark, and in front of it by as much as clocks may differ.
    this.#startAt((Math.ceil(watermark / COUNT_MS) + 1) * COUNT_MS);
  }

  beginAgain(): void {
    this.#pending = true;
    this.#saved = undefined;
  }

  /** Sums begin again behind an omitted hour. The hour after the watermark's is compared too. */
  #reach(hour: number): void {
    if (hour <= (this.#reached ?? -Infinity)) return;
    this.#saved = undefined;
    this.#reached = hour;
    const passed = this.#omitted.all().filter(([first]) => first <= hour + 1);
    const last = passed.at(-1)?.[1];
    if (last !== undefined) this.#startAt((Math.min(last, hour + 1) + 1) * COUNT_MS);
    this.#trim();
  }

  /** Where the words of the hour of an instant begin; −1: it is too long ago, or no instant. */
  #slotAt(at: number): number {
    const hour = Math.floor(at / COUNT_MS);
    if (this.#hours[this.#last] === hour) return this.#last * EVIDENCE_WORDS;
    if (!(Math.abs(at) <= INSTANT_MAX) || (this.#from !== null && hour * COUNT_MS < this.#from)) return -1;
    let slot = this.#hours.indexOf(hour);
    if (slot < 0) {
      if (this.#omitted.touch(hour, hour + 1)) return -1;
      slot = this.#hours.push(hour) - 1;
      if (this.#words.length < this.#hours.length * EVIDENCE_WORDS) {
        const words = new Uint32Array(this.#hours.length * EVIDENCE_WORDS * 2);
        words.set(this.#words);
        this.#words = words;
      }
      this.#trim();
      slot = this.#hours.indexOf(hour);
    }
    if (slot < 0) return -1;
    this.#last = slot;
    return slot * EVIDENCE_WORDS;
  }

  /**
   * Gives up what does not fit: the oldest hours, and the furthest of those that are ahead. The latter are few, but not none: after a pause
   * the first readings come before the tick that tells how late it is.
   */
  #trim(): void {
    const { evidenceHoursMax, evidenceBytesMax, evidenceHoursAheadMax, evidenceAheadMax } = processorLimits;
    for (;;) {
      const isAhead = (hour: number): boolean => hour - (this.#reached ?? Infinity) > evidenceHoursAheadMax;
      const ahead = this.#hours.filter(isAhead);
      const others = this.#hours.filter((hour) => !isAhead(hour));
      if (ahead.length > evidenceAheadMax) {
        const furthest = Math.max(...ahead);
        this.#omitted.add(furthest, furthest);
        this.#keep((hour) => hour !== furthest);
      } else if (others.length > evidenceHoursMax || encodedBytes(others) > evidenceBytesMax) {
        this.#startAt((Math.min(...others) + 1) * COUNT_MS);
      } else return;
    }
  }

  /** Gives up what begins before. */
  #startAt(from: number): void {
    this.#from = Math.max(this.#from ?? -Infinity, from);
    this.#omitted.forget(this.#from / COUNT_MS);
    this.#keep((hour) => hour * COUNT_MS >= this.#from!);
  }

  #keep(isKept: (hour: number) => boolean): void {
    const { hours, words } = this.#ordered(isKept);
    this.#hours = [...hours];
    this.#words = words.length === 0 ? new Uint32Array(EVIDENCE_WORDS) : words;
    this.#last = 0;
  }

  #ordered(isKept: (hour: number) => boolean): Pick<EvidenceSnapshot, 'hours' | 'words'> {
    const hours = this.#hours.filter(isKept).sort((a, b) => a - b);
    const words = new Uint32Array(hours.length * EVIDENCE_WORDS);
    for (const [i, hour] of hours.entries()) {
      const from = this.#hours.indexOf(hour) * EVIDENCE_WORDS;
      words.set(this.#words.subarray(from, from + EVIDENCE_WORDS), i * EVIDENCE_WORDS);
    }
    return { hours, words };
  }

  snapshot(): EvidenceSnapshot {
    return (this.#saved ??= {
      ...this.#name,
      from: this.#from,
      pending: this.#pending,
      reportedAt: this.#reportedAt,
      reached: this.#reached,
      omitted: [...this.#omitted.all()],
      ...this.#ordered(() => true),
    });
  }
}

/** Hours as pairs of the first of a row without a gap and its length: nearly always one pair. Example: 7, 8, 9, 12 are 7, 3, 12, 1. */
export function spansOf(hours: readonly number[]): number[] {
  const spans: number[] = [];
  for (const [i, hour] of hours.entries()) {
    if (i > 0 && hours[i - 1] === hour - 1) spans[spans.length - 1]! += 1;
    else spans.push(hour, 1);
  }
  return spans;
}

/** The hours that {@link spansOf} made `spans` of. */
export const hoursOf = (spans: readonly number[]): number[] =>
  spans.flatMap((first, i) => (i % 2 === 1 ? [] : Array.from({ length: spans[i + 1] ?? 0 }, (_, at) => first + at)));

/** What a gateway's hours take in a checkpoint, at most: words in base64, and two numbers and commas per span. */
function encodedBytes(hours: readonly number[]): number {
  const spans = spansOf(hours.toSorted((a, b) => a - b)).length / 2;
  return Math.ceil((hours.length * EVIDENCE_WORDS * 4) / 3) * 4 + spans * SPAN_BYTES;
}

/** The sums of an hour that begins at `at`; zeros if nothing was taken. */
export function evidenceAt({ hours, words }: EvidenceSnapshot, at: number): HourEvidence {
  const index = hours.indexOf(at / COUNT_MS);
  const [readings = 0, hash = 0, phases = 0, episodes = 0] =
    index < 0 ? [] : words.subarray(index * EVIDENCE_WORDS, (index + 1) * EVIDENCE_WORDS);
  return { readings, hash, opened: phases >>> 16, closed: phases % TWO_16, episodes };
}

/** From when on sums are whole; −Infinity: always, Infinity: not yet. */
export const evidenceFrom = (evidence: EvidenceSnapshot | undefined): number =>
  evidence === undefined || evidence.pending ? Infinity : (evidence.from ?? -Infinity);
