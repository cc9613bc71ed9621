import { crc32 } from 'node:zlib';

import {
  type BatchFault,
  decodeBatch,
  type EpochMs,
  gatewayKey,
  type GatewayName,
  type IngestAddress,
  parseIngestSubject,
  type Row,
  type WindowRow,
} from '@floorwatch/contracts';

import type { CheckpointState } from './checkpoint/format.ts';
import type { StreamCursor } from './consume/generation.ts';
import type { DeadLetterSink } from './dead-letters/dead-letters.ts';
import type { FloorObserver } from './floor-observer.ts';
import { Fold, type FoldCounts } from './fold.ts';
import { processorLimits } from './limits.ts';
import type { Alarms } from './sequence/alarms.ts';
import { isClockAhead } from './sequence/clock-ahead.ts';
import type { Sequencer, SequencerLimits, SourceSnapshot } from './sequence/sequencer.ts';
import type { LateGroup } from './window/late-windows.ts';
import type { GatewayReach } from './window/reach.ts';
import type { WindowConfig } from './window/window-config.ts';
import type { SealedLoss, WindowOperator } from './window/window-operator.ts';
import { markedIncomplete } from './write/incomplete-marker.ts';
import type { StoredBefore } from './stored-gateway.ts';
import { Outbox, type OutboxStart } from './write/outbox.ts';

/** A message of the stream. */
export interface StreamMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Its sequence in the stream. */
  readonly sequence: number;
  /** When the stream got it, by the server's clock. */
  readonly storedAt: EpochMs;
}

/** What a replay of messages that were applied must know of the state that they led to. */
export interface LiveState {
  readonly sources: readonly SourceSnapshot[];
  /** How far a gateway has reached, see `Reach`. */
  reachOf(gateway: GatewayName): GatewayReach;
}

/** Why a batch is refused; each is counted, and kept with the dead letter. */
type BatchReason = BatchFault['reason'] | 'subject' | 'address' | 'too-many-gateways' | 'number';

/** Those that mean that somebody sends in the name of a gateway; others mean damage on the way, an older release, or no room. */
const IMPOSSIBLE: ReadonlySet<BatchReason> = new Set(['address', 'invalid', 'number']);

/**
 * All that one partition knows and does between the stream and the store: decode → sequence → window → outbox. A state machine without
 * a clock of its own and without I/O; started from a checkpoint and given the messages behind its position, it makes the same rows again.
 */
export class Partition {
  readonly number: number;
  readonly outbox: Outbox;
  #series: string;
  readonly #fold: Fold;
  readonly #observer: FloorObserver;
  readonly #deadLetters: DeadLetterSink;
  #cursor: StreamCursor;
  /** The message at the cursor while its digest is not known: only checkpoints need it. */
  #undigested: Uint8Array | undefined;
  /** What processors before have stored that this state may not know. */
  #before: StoredBefore;
  #dirty = false;

  constructor(options: {
    readonly number: number;
    readonly windows: WindowConfig;
    readonly sequence: SequencerLimits;
    /** Name of the series of checkpoints that begins if there is none yet: 16 random hexadecimal digits. */
    readonly newSeries: string;
    readonly observer: FloorObserver;
    readonly deadLetters: DeadLetterSink;
    readonly from: CheckpointState | undefined;
    /** How the outbox begins, besides what `from` says; see `OutboxStart`. */
    readonly outbox?: Partial<Pick<OutboxStart, 'updatesFrom'>>;
  }) {
    const { from } = options;
    this.number = options.number;
    this.#observer = options.observer;
    this.#deadLetters = options.deadLetters;
    this.#cursor = from?.cursor ?? { created: null, position: 0, digest: null };
    this.#series = from?.series ?? options.newSeries;
    const out = { emit: (row: Row): void => this.outbox.put(row) };
    this.#fold = new Fold({
      windows: options.windows,
      sequence: options.sequence,
      observer: this.#observer,
      out,
      from,
    });
    this.outbox = new Outbox({
      ordinal: from?.ordinal ?? 0,
      rows: from?.unsent ?? [],
      stored: from?.before ?? { gateways: [], runsTo: 0 },
      updatesFrom: options.outbox?.updatesFrom ?? 0,
    });
    this.#before = from?.before ?? { gateways: [], runsTo: 0 };
    this.#recall();
    this.#tellWatermarks();
    for (const alarm of this.alarms.all()) this.#observer.alarm(alarm);
  }

  /**
   * The checkpoint that this state comes from, if any, is not the last that was saved for the partition. To be called before anything is read or
   * written.
   *
   * @param series of the checkpoints that begin now; undefined: they follow those before. Gateways take no notice of ordinals of a series that are
   *   behind what they were told.
   */
  recover(before: StoredBefore, series: string | undefined): void {
    this.#series = series ?? this.#series;
    this.#before = before;
    this.#recall();
    this.outbox.compare(before);
    this.#dirty = true;
  }

  #recall(): void {
    this.#fold.sequencer.remember(this.#before);
    this.windows.storedTo = new Map(this.#before.gateways.map((name) => [gatewayKey(name), name.windowsTo] as const));
  }

  /** What happened since the start. */
  get counts(): Readonly<FoldCounts> {
    return this.#fold.counts;
  }

  get windows(): WindowOperator {
    return this.#fold.windows;
  }

  get alarms(): Alarms {
    return this.#fold.alarms;
  }

  /** Where reading goes on. */
  get cursor(): StreamCursor {
    if (this.#undigested !== undefined) {
      this.#cursor = { ...this.#cursor, digest: crc32(this.#undigested) };
      this.#undigested = undefined;
    }
    return this.#cursor;
  }

  /** Whether anything changed since the last capture. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** Its counts and what it waits for; the records go through {@link apply}. */
  get sequence(): Readonly<Pick<Sequencer, 'forgottenOld' | 'forgottenAtLimit' | 'sourcesWaiting' | 'highestRun'>> {
    return this.#fold.sequencer;
  }

  /** What a replay of the same messages must know of this state. */
  get live(): LiveState {
    return { sources: this.#fold.sequencer.snapshot(), reachOf: (gateway) => this.windows.reachOf(gateway) };
  }

  /** The last capture could not be saved. */
  markDirty(): void {
    this.#dirty = true;
  }

  /** The stream is another one than remembered, or begins behind the position. */
  moveTo(cursor: StreamCursor): void {
    this.#undigested = undefined;
    this.#cursor = cursor;
    this.#dirty = true;
  }

  /** Puts a row into the outbox that was made before: one that the store had refused, or that a replay made again. */
  putAgain(row: Row): void {
    this.outbox.put(row);
    this.#dirty = true;
  }

  /** Corrects sealed windows with the late readings that waited for them; `bases` holds the newest value of each window that has one. */
  correct({ sensor, size, starts }: LateGroup, bases: ReadonlyMap<number, WindowRow>): void {
    for (const start of starts) {
      const corrected = this.windows.lateWindows.correct(sensor, size, start, bases.get(start));
      if (corrected !== undefined) this.outbox.put(corrected);
    }
    this.#dirty = true;
  }

  /** Marks sealed windows incomplete. */
  mark(rows: readonly WindowRow[]): void {
    for (const row of rows) this.outbox.put(markedIncomplete(row));
    this.#dirty = true;
  }

  /** All sealed windows of a stretch are marked. */
  marked(loss: SealedLoss): void {
    this.windows.marked(loss);
    this.#dirty = true;
  }

  /** The sealed windows of a stretch are to be marked once more, because some of them were made again. */
  markAgain(loss: SealedLoss): void {
    this.windows.markAgain(loss);
    this.#dirty = true;
  }

  /** Settles the rows that were last taken from the outbox. */
  settle(): void {
    this.outbox.settle();
    this.#dirty = true;
  }

  /**
   * Applies one message. Never throws: what cannot be used is rejected.
   *
   * @param now the processor's clock; only shown to people, no result depends on it.
   */
  apply(message: StreamMessage, now: EpochMs): void {
    const { subject, data, sequence } = message;
    const address = parseIngestSubject(subject);
    const decoded = decodeBatch(data);
    const fault = this.#faultOf(address, decoded);
    if (decoded.ok && address !== undefined && fault === undefined) {
      const { epoch, records } = decoded.batch;
      this.#fold.apply(address, decoded.batch, message.storedAt);
      if (isClockAhead(records, message.storedAt)) {
        this.#observer.alarm(this.alarms.raise(address, 'clock-ahead', epoch, message.storedAt));
      }
      this.#observer.heard(address, now);
    } else if (fault !== undefined) {
      this.#deadLetters.addBatch({ at: now, subject, streamSequence: sequence, ...fault }, data);
      // Whoever makes up names of gateways must not crowd out alarms of those that there are.
      if (address !== undefined && IMPOSSIBLE.has(fault.reason) && this.#fold.sequencer.knows(address)) {
        const epoch = decoded.ok ? decoded.batch.epoch : '';
        this.#observer.alarm(this.alarms.raise(address, 'impossible', epoch, message.storedAt));
      }
    }
    this.#cursor = { created: this.#cursor.created, position: sequence, digest: null };
    this.#undigested = data;
    this.#dirty = true;
  }

  #faultOf(
    address: IngestAddress | undefined,
    decoded: ReturnType<typeof decodeBatch>,
  ): { readonly reason: BatchReason; readonly message: string } | undefined {
    if (address === undefined) {
      return { reason: 'subject', message: 'the subject is not one that a gateway publishes to' };
    }
    if (!decoded.ok) return decoded.fault;
    const { site, gateway, lane } = decoded.batch;
    if (site !== address.site || gateway !== address.gateway || lane !== address.lane) {
      const message = `the batch says ${site}/${gateway} ${lane}, its subject ${address.site}/${address.gateway} ${address.lane}`;
      return { reason: 'address', message };
    }
    if (this.#fold.sequencer.isFull(address, processorLimits.gatewaysPerPartitionMax)) {
      const message = `partition ${this.number} already has ${processorLimits.gatewaysPerPartitionMax} gateways`;
      return { reason: 'too-many-gateways', message };
    }
    const { epoch, records } = decoded.batch;
    const number = this.#fold.sequencer.impossibleNumber(address, epoch, records);
    return number === undefined ? undefined : { reason: 'number', message: number };
  }

  /** After a start: pages know how far every gateway had come. */
  #tellWatermarks(): void {
    for (const { site, gateway, watermark } of this.windows.watermarks()) {
      if (watermark !== undefined) this.#observer.watermark({ site, gateway }, watermark);
    }
  }

  /** Everything that a checkpoint must hold, copied at one instant. `clean`: nothing is under way any more, see `CheckpointState`. */
  capture(clean = false): CheckpointState {
    this.#dirty = false;
    const { ordinal, rows } = this.outbox.capture();
    return {
      series: this.#series,
      ordinal,
      partition: this.number,
      cursor: this.cursor,
      sources: this.#fold.sequencer.snapshot(),
      alarms: this.alarms.all(),
      windows: this.windows.snapshot(),
      ledger: this.#fold.ledger.snapshot(),
      evidence: this.#fold.evidence.snapshot(),
      unsent: rows,
      clean,
      comparing: this.outbox.comparing,
      before: this.#before,
    };
  }
}
