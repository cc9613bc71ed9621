import {
  encodeBatch,
  type EpochMs,
  epochMs,
  type FloorMessage,
  type GatewayName,
  ingestSubject,
  type LaneFloor,
  limits as contractLimits,
  SCHEMA_VERSION,
} from '@floorwatch/contracts';
import { type Logger, messageOf, pause, retryDelay, unlessAborted } from '@floorwatch/runtime';

import type { LanePart, LaneSpool } from '../lane-spool.ts';
import { limits } from '../limits.ts';
import { decodeSpooled } from '../spooled-record.ts';
import { composeBatch } from './compose-batch.ts';
import { LaneCursor, REWIND_REASONS, type RewindReason } from './lane-cursor.ts';
import { doubtsOf, locateFloor } from './locate-floor.ts';
import type { NatsLink } from './nats-link.ts';

/**
 * Something about a lane that no program can settle.
 *
 * - `identity`: two agents use this gateway's name, or the disk is an older copy of itself.
 * - `trimmed`: the processor asked for records that the gateway holds no longer.
 * - `stuck`: the processor does not take a record, however often it gets it.
 */
export interface SenderAlarm {
  readonly kind: 'identity' | 'trimmed' | 'stuck';
  /** The facts, in words. */
  readonly what: string;
  readonly since: EpochMs;
}

/** How far a lane has come. Counts are since the start. */
export interface SpoolSenderState {
  /** Records that JetStream has acknowledged for the first time, gaps by what they stand for. */
  readonly recordsAcknowledged: number;
  /** Records that were acknowledged once more. */
  readonly recordsRepeated: number;
  readonly batchesAcknowledged: number;
  readonly bytesAcknowledged: number;
  /** Attempts that were not answered with an acknowledgement. */
  readonly failures: number;
  /** The epoch and the number that were sent last; null: nothing yet. */
  readonly sent: { readonly epoch: string; readonly number: number } | null;
  readonly recordsUnsent: number;
  /** When the oldest unsent record was made; null: all are sent, or it is a gap. */
  readonly oldestUnsentAt: EpochMs | null;
  /** What a processor said last; null: nothing since the start. */
  readonly floor: (LaneFloor & { readonly heardAt: EpochMs }) | null;
  readonly uncommittedBytes: number;
  /** Since when what was sent is not committed, and a processor that speaks has committed nothing at all; null: all is committed. */
  readonly stalledSince: EpochMs | null;
  /** At this many sending waits; null: no limit, because the processor must get everything. */
  readonly uncommittedBytesMax: number | null;
  /** Whether that limit holds sending now. */
  readonly held: boolean;
  readonly rewinds: number;
  readonly rewindsByReason: Readonly<Record<RewindReason, number>>;
  readonly gapsSent: number;
  /** Floors that can't be true: beyond what was sent, or beyond what the newest epoch has. Nothing is deleted because of them. */
  readonly floorsRefused: number;
  readonly alarms: readonly SenderAlarm[];
  /** Why the lane can't be sent, if it is the disk's fault. */
  readonly fault?: string;
}

export interface SpoolSenderOptions extends GatewayName {
  /** How long what the processor has committed is kept all the same. Default `limits.trimGraceMs`. */
  readonly trimGraceMs?: number;
  /** Default `limits.uncommittedBytesMax`. */
  readonly uncommittedBytesMax?: number;
}

/** The first pause after a failed attempt; each further one doubles it, up to `limits.retryMsMax`. */
const RETRY_MS = 200;

const UNREADABLE = 'the lane on the disk can not be read or marked as sent';

/**
 * Sends the spool of one lane: one batch in flight (stop and wait), so that the order in the stream is the order of the lane. If the
 * outcome of an attempt is unknown, the same records go again, for ever; the processor knows the repeat by its numbers. Nats-Msg-Id is not
 * used: JetStream answers `duplicate` to a repeat of something that it does not hold any more.
 *
 * Where to go on and what to trim is decided by {@link LaneCursor}. Everything happens in one loop, one step after another.
 */
export class SpoolSender {
  readonly #gateway: GatewayName;
  readonly #lane: LaneSpool;
  readonly #link: Pick<NatsLink, 'publish' | 'whenConnected' | 'isConnected' | 'batchBytesMax'>;
  readonly #logger: Logger;
  readonly #cursor: LaneCursor;
  readonly #keepHouseMs: number;
  readonly #uncommittedBytesMax: number;
  readonly #counts = {
    recordsAcknowledged: 0,
    recordsRepeated: 0,
    batchesAcknowledged: 0,
    bytesAcknowledged: 0,
    failures: 0,
    gapsSent: 0,
    floorsRefused: 0,
  };
  readonly #rewinds = Object.fromEntries(REWIND_REASONS.map((why) => [why, 0])) as Record<RewindReason, number>;
  readonly #alarms = new Map<string, SenderAlarm>();
  #heard: FloorMessage | undefined;
  #floor: SpoolSenderState['floor'] = null;
  #sent: SpoolSenderState['sent'] = null;
  /** When the floor moved last, or the first bytes that it is behind were sent. */
  #movedAt = epochMs(Date.now());
  #oldestUnsent: { readonly position: number; readonly at: EpochMs | null } | undefined;
  /** The last position that was acknowledged, also before a rewind; what comes up to it is a repeat. */
  #acknowledgedThrough: number;
  /** The last position that may be in the stream: whoever says that more is safe is wrong. */
  #sentThrough: number;
  /** Where sending would go on after a crash. */
  #saved: number;
  /** The batch in hand, which JetStream has perhaps, and what a batch could have then. */
  #tried: { readonly part: LanePart; readonly bytesMax: number } | undefined;
  /** Attempts for it that failed. */
  #failed = 0;
  /** When a floor came last that can't be true, as `performance.now()`. */
  #refusedAt = -Infinity;
  #probedAt = performance.now();
  #keptAt = performance.now();
  #wake = new AbortController();
  #fault: string | undefined;

  constructor(
    options: SpoolSenderOptions,
    lane: LaneSpool,
    link: Pick<NatsLink, 'publish' | 'whenConnected' | 'isConnected' | 'batchBytesMax'>,
    logger: Logger,
  ) {
    this.#gateway = { site: options.site, gateway: options.gateway };
    this.#lane = lane;
    this.#link = link;
    this.#logger = logger;
    this.#uncommittedBytesMax = options.uncommittedBytesMax ?? limits.uncommittedBytesMax[lane.lane];
    const graceMs = options.trimGraceMs ?? limits.trimGraceMs;
    this.#keepHouseMs = Math.min(limits.keepHouseMsMax, Math.max(limits.keepHouseMs, graceMs / 10));
    const { first } = lane;
    const next = Math.min(lane.sentThrough, lane.next);
    this.#saved = next;
    this.#acknowledgedThrough = next - 1;
    this.#sentThrough = Math.max(next - 1, lane.markedThrough);
    const share = (next - first) / Math.max(1, lane.next - first);
    this.#cursor = new LaneCursor({
      next,
      // On the way they have about the size that they have on the disk.
      earlier: { from: first, bytes: Math.max(0, lane.bytes * share) },
      graceMs,
      uncommittedBytesMax: this.#uncommittedBytesMax,
      batchBytesMax: contractLimits.batchBytesMax,
    });
  }

  /**
   * Takes in what a processor says of this gateway; see {@link FloorListener} for which messages.
   *
   * @param isOutdated another message says something newer. If it says more, nothing is deleted on its word as long as both are heard.
   */
  hearFloor(message: FloorMessage, isOutdated = false): void {
    if (isOutdated) {
      this.#cursor.doubt(locateFloor(this.#lane, message.lanes[this.#lane.lane]).through);
      return;
    }
    this.#heard = message;
    const { epoch, floor } = message.lanes[this.#lane.lane];
    if (epoch !== this.#floor?.epoch || floor !== this.#floor.floor) this.#movedAt = epochMs(Date.now());
    this.#floor = { ...message.lanes[this.#lane.lane], heardAt: epochMs(Date.now()) };
    this.#wake.abort();
  }

  /** Sends until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const wake = (): void => this.#wake.abort();
    signal.addEventListener('abort', wake);
    while (!signal.aborted) {
      this.#listen();
      await this.#try(signal);
    }
    signal.removeEventListener('abort', wake);
    try {
      await this.#save(this.#cursor.next);
    } catch (error) {
      // Then more is sent again after the next start.
      this.#logger.warn({ lane: this.#lane.lane, error: messageOf(error) }, 'where sending stands can not be saved');
    }
  }

  state(): SpoolSenderState {
    const cursor = this.#cursor;
    return {
      ...this.#counts,
      sent: this.#sent,
      recordsUnsent: Math.max(0, this.#lane.next - cursor.next),
      oldestUnsentAt: cursor.next < this.#lane.next ? (this.#oldestUnsent?.at ?? null) : null,
      floor: this.#floor,
      uncommittedBytes: Math.round(cursor.uncommittedBytes),
      stalledSince: cursor.uncommittedBytes > 0 ? this.#movedAt : null,
      uncommittedBytesMax: cursor.isForeign ? null : this.#uncommittedBytesMax,
      held: cursor.isHeld && cursor.next < this.#lane.next,
      rewinds: REWIND_REASONS.reduce((sum, why) => sum + this.#rewinds[why], 0),
      rewindsByReason: { ...this.#rewinds },
      alarms: [...this.#alarms.values()],
      ...(this.#fault === undefined ? {} : { fault: this.#fault }),
    };
  }

  /** A disk that fails must not end the agent while readings can still be taken: what was not marked as sent is not sent. */
  async #try(signal: AbortSignal): Promise<void> {
    try {
      await this.#keepHouse();
      await this.#step(signal);
      this.#fault = undefined;
    } catch (error) {
      if (this.#fault === undefined) this.#logger.error({ lane: this.#lane.lane, error: messageOf(error) }, UNREADABLE);
      this.#fault = `${UNREADABLE}: ${messageOf(error)}`;
      await this.#waiting(signal, limits.retryMsMax);
    }
  }

  /** Sends one batch, or waits until there is something to do. Ends at the latest when it is time to keep house. */
  async #step(signal: AbortSignal): Promise<void> {
    const { next } = this.#cursor;
    const idleMs = limits.keepHouseMs;
    const isEnd = next >= this.#lane.next;
    if (this.#mustProbe(isEnd)) await this.#probe(signal);
    else if (isEnd) {
      await this.#waiting(signal, idleMs, async (woken) => this.#lane.waitForItem(next, woken));
    } else if (!this.#link.isConnected) {
      await this.#lookAt(next);
      // What is published while disconnected would wait in the client's memory, once per attempt.
      await this.#waiting(signal, idleMs, async (woken) => this.#link.whenConnected(woken));
    } else if (!this.#cursor.isHeld) await this.#sendNext(signal);
    else {
      await this.#lookAt(next);
      await this.#waiting(signal, idleMs);
    }
  }

  /** Nothing new can be sent, and what was sent is not committed although there was time enough. */
  #mustProbe(isEnd: boolean): boolean {
    const { isHeld, uncommittedBytes } = this.#cursor;
    if (!this.#link.isConnected || !(isEnd ? uncommittedBytes > 0 : isHeld)) return false;
    return performance.now() - this.#probedAt >= limits.probeMs;
  }

  /** Finds out when the oldest unsent record was made. */
  async #lookAt(next: number): Promise<void> {
    if (this.#oldestUnsent?.position === next) return;
    const part = await this.#lane.read(next, 1, 1);
    const [item] = part?.kind === 'records' ? part.items : [];
    this.#oldestUnsent = { position: next, at: item === undefined ? null : decodeSpooled(item).at };
  }

  async #sendNext(signal: AbortSignal): Promise<void> {
    const batch = await this.#compose(this.#cursor.next);
    if (batch === undefined) return;
    const { part, bytes } = batch;
    if (part.from > this.#cursor.next) {
      this.#cursor.skip(part.from - 1);
      return;
    }
    // What was dropped in the meantime is a gap the next time.
    if (part.kind === 'records' && !(await this.#lane.markSent(part.to))) return this.#waiting(signal, RETRY_MS);
    this.#tried = { part, bytesMax: this.#link.batchBytesMax };
    const seq = await this.#publish(part, bytes, signal);
    if (seq === undefined) return;
    this.#tried = undefined;
    if (this.#cursor.uncommittedBytes === 0) this.#movedAt = epochMs(Date.now());
    this.#cursor.acknowledged(part.from, part.to, bytes.length, seq);
    this.#probedAt = performance.now();
    this.#count(part, bytes.length);
  }

  /**
   * While nothing is sent, a stream that has lost its end shows it only in the sequence that it gives to something new: what the processor
   * wants next, once more. It also tells a processor of this gateway that has never heard of it, or has heard another one of its name last.
   */
  async #probe(signal: AbortSignal): Promise<void> {
    this.#probedAt = performance.now();
    const batch = await this.#compose(Math.max(this.#lane.first, (this.#cursor.floor ?? this.#lane.beginning - 1) + 1));
    if (batch === undefined) return;
    const seq = await this.#publish(batch.part, batch.bytes, signal);
    if (seq !== undefined) this.#cursor.probed(seq);
  }

  /**
   * The batch that begins at `from`. It ends where a frame ends: if it is too large for the server, less is read from the lane, which alone
   * knows where frames end. One whose outcome is unknown stays what it was, but for anomalies that have become backlog since.
   */
  async #compose(from: number): Promise<{ readonly part: LanePart; readonly bytes: Uint8Array } | undefined> {
    const bytesMax = this.#link.batchBytesMax;
    if (this.#tried?.part.from !== from || this.#tried.bytesMax !== bytesMax) this.#tried = undefined;
    for (let wanted = bytesMax; ; wanted = Math.floor(wanted / 2)) {
      const part =
        this.#tried?.part ?? (await this.#lane.read(from, Math.max(1, wanted), contractLimits.recordsPerBatchMax));
      if (part === undefined) return undefined;
      const head = { ...this.#gateway, lane: this.#lane.lane, epoch: part.epoch };
      if (part.kind === 'gap') {
        return { part, bytes: encodeBatch({ schema: SCHEMA_VERSION, ...head, sensors: [], records: [part.gap] }) };
      }
      const { bytes, at } = composeBatch(head, part.items, epochMs(Date.now()));
      // Numbers that point into a longer list have more digits, so the sum of the parts may be passed by a little.
      if (bytes.length > bytesMax && part.items.length > 1) {
        this.#tried = undefined;
        continue;
      }
      if (from === this.#cursor.next) this.#oldestUnsent = { position: from, at };
      return { part, bytes };
    }
  }

  /** One attempt. Undefined: not acknowledged, and a pause is over. */
  async #publish(part: LanePart, bytes: Uint8Array, signal: AbortSignal): Promise<number | undefined> {
    const { lane } = this.#lane;
    this.#sentThrough = Math.max(this.#sentThrough, part.to);
    try {
      // A server that has stopped answering must not hold up the stop.
      const { seq } = await unlessAborted(this.#link.publish(ingestSubject({ ...this.#gateway, lane }), bytes), signal);
      if (this.#failed > 0) this.#logger.info({ lane, attempts: this.#failed + 1 }, 'NATS takes data again');
      this.#failed = 0;
      return seq;
    } catch (error) {
      if (signal.aborted) return undefined;
      this.#counts.failures += 1;
      const facts = { lane, epoch: part.epoch, from: part.number, attempt: ++this.#failed, error: messageOf(error) };
      if (this.#failed === 1)
        this.#logger.warn(facts, 'NATS did not acknowledge a batch; sending it again until it does');
      else this.#logger.debug(facts, 'NATS still does not acknowledge the batch');
      await this.#waiting(signal, retryDelay({ firstMs: RETRY_MS, maxMs: limits.retryMsMax }, this.#failed));
      return undefined;
    }
  }

  #count(part: LanePart, bytes: number): void {
    const fresh = Math.max(0, part.to - Math.max(this.#acknowledgedThrough, part.from - 1));
    this.#counts.recordsAcknowledged += fresh;
    this.#counts.recordsRepeated += part.to - part.from + 1 - fresh;
    this.#counts.batchesAcknowledged += 1;
    this.#counts.bytesAcknowledged += bytes;
    this.#acknowledgedThrough = Math.max(this.#acknowledgedThrough, part.to);
    this.#sent = { epoch: part.epoch, number: part.number + part.to - part.from };
    if (part.kind !== 'gap') return;
    this.#counts.gapsSent += 1;
    const { gap } = part;
    this.#logger.warn(
      { lane: this.#lane.lane, epoch: part.epoch, from: gap.number, to: gap.to },
      `sent a gap: ${gap.reason}`,
    );
    if (gap.reason !== 'trimmed') return;
    const what = `the cloud processor lacks records ${gap.number} to ${gap.to} of ${part.epoch}, which this gateway holds no longer`;
    this.#raise('trimmed', `trimmed ${part.epoch}`, what);
  }

  #listen(): void {
    const message = this.#heard;
    if (message === undefined) return;
    this.#heard = undefined;
    const { lane, next, beginning } = this.#lane;
    const heard = message.lanes[lane];
    const located = locateFloor(this.#lane, heard);
    const doubts = doubtsOf(this.#lane, located, heard.epoch, this.#sentThrough);
    this.#tellForged(doubts === 'forged', heard);
    const why = this.#cursor.hear(
      {
        series: message.checkpoints,
        created: message.stream.created,
        streamPosition: message.stream.position,
        through: located.through,
        hole: located.hole,
        isDoubtful: doubts !== 'none',
      },
      { beginning, next },
      performance.now(),
    );
    if (why !== undefined) {
      this.#rewinds[why] += 1;
      this.#failed = 0;
      this.#logger.warn(
        { lane, why, ...heard, stream: message.stream },
        'the cloud processor lacks records; sending them again',
      );
    }
    const { epoch } = heard;
    const { isForeign } = located;
    this.#tell(
      isForeign,
      'identity',
      'foreign',
      `the cloud processor has heard ${epoch} under this gateway's name, which it never wrote`,
    );
    const gave = `the cloud processor has number ${heard.floor} of ${epoch}, of which this gateway gave ${located.beyond} only`;
    this.#tell(located.beyond !== undefined, 'identity', 'beyond', gave);
    const stuck = `the cloud processor has got what follows number ${heard.floor} of ${epoch} several times and does not take it`;
    this.#tell(this.#cursor.fruitlessRewinds >= 3, 'stuck', 'stuck', stuck);
  }

  /** Told for a day: what says the truth a few seconds later does not undo it. */
  #tellForged(isForged: boolean, { epoch, floor }: LaneFloor): void {
    const now = performance.now();
    if (!isForged) {
      if (now - this.#refusedAt > limits.forgedShownMs) this.#alarms.delete('forged');
      return;
    }
    this.#counts.floorsRefused += 1;
    this.#refusedAt = now;
    const what = `a floor message says that number ${floor} of ${epoch} is safe in the cloud, and less was sent; nothing is deleted for it`;
    this.#raise('identity', 'forged', what);
  }

  #tell(holds: boolean, kind: SenderAlarm['kind'], key: string, what: string): void {
    if (holds) this.#raise(kind, key, what);
    else this.#alarms.delete(key);
  }

  #raise(kind: SenderAlarm['kind'], key: string, what: string): void {
    const known = this.#alarms.get(key);
    if (known === undefined) this.#logger.error({ lane: this.#lane.lane, kind }, what);
    this.#alarms.set(key, { kind, what, since: known?.since ?? epochMs(Date.now()) });
    // Epochs follow one another; the oldest are of interest to nobody.
    const [oldest] = this.#alarms.keys();
    if (this.#alarms.size > limits.laneAlarmsMax && oldest !== undefined) this.#alarms.delete(oldest);
  }

  /** Trims, and remembers where sending stands. */
  async #keepHouse(): Promise<void> {
    const now = performance.now();
    if (now - this.#keptAt < this.#keepHouseMs) return;
    this.#keptAt = now;
    const through = this.#cursor.trimmable(now);
    // A start must not ask for what is trimmed, so it is remembered first that it was sent.
    await this.#save(Math.max(this.#cursor.next, (through ?? 0) + 1));
    if (through !== undefined) await this.#lane.release(through);
  }

  async #save(next: number): Promise<void> {
    if (next === this.#saved) return;
    await this.#lane.saveSentThrough(next);
    this.#saved = next;
  }

  /** Waits for something, and for no longer than `ms`, a floor message or the stop. */
  async #waiting(
    signal: AbortSignal,
    ms: number,
    wait: (woken: AbortSignal) => Promise<unknown> = async (woken) => pause(ms, woken),
  ): Promise<void> {
    if (signal.aborted || this.#heard !== undefined) return;
    this.#wake = new AbortController();
    const timer = setTimeout(() => this.#wake.abort(), ms);
    await wait(this.#wake.signal);
    clearTimeout(timer);
  }
}
