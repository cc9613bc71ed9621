import { crc32 } from 'node:zlib';

import {
  type Batch,
  decodeBatch,
  type EpochMs,
  type FloorRecord,
  type GapRecord,
  type IngestAddress,
  parseIngestSubject,
  rollupAggregate,
  rollupMoving,
  rollupStart,
  type Row,
  type WindowRow,
} from '@floorwatch/contracts';

import type { CheckpointState } from './checkpoint/format.ts';
import type { StreamCursor } from './consume/generation.ts';
import type { DeadLetterSink } from './dead-letters/dead-letters.ts';
import type { FloorObserver } from './floor-observer.ts';
import { processorLimits } from './limits.ts';
import { anomalyRow, gatewayRow } from './rows.ts';
import { Alarms } from './sequence/alarms.ts';
import { type Judgement, Sequencer, type SequencerLimits } from './sequence/sequencer.ts';
import type { LateGroup } from './window/late-windows.ts';
import type { WindowConfig } from './window/window-config.ts';
import { WindowOperator } from './window/window-operator.ts';
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

/** What happened since the start. */
export interface PartitionCounts {
  batches: number;
  records: number;
  rollups: number;
  readings: number;
  duplicates: number;
  /** Numbers that came before their turn and were not applied; gateways send them again. */
  ahead: number;
  /** Numbers that gateways declared lost. */
  gaps: number;
  epochs: number;
}

/**
 * All that one partition knows and does between the stream and the store: decode → sequence → window → outbox. A state machine without
 * a clock of its own and without I/O; started from a checkpoint and given the messages behind its position, it makes the same rows again.
 */
export class Partition {
  readonly number: number;
  readonly outbox: Outbox;
  readonly counts: PartitionCounts = {
    batches: 0,
    records: 0,
    rollups: 0,
    readings: 0,
    duplicates: 0,
    ahead: 0,
    gaps: 0,
    epochs: 0,
  };
  readonly windows: WindowOperator;
  readonly alarms: Alarms;
  readonly #series: string;
  readonly #sequencer: Sequencer;
  readonly #observer: FloorObserver;
  readonly #deadLetters: DeadLetterSink;
  readonly #out = { emit: (row: Row): void => this.outbox.put(row) };
  #cursor: StreamCursor;
  #comparedThrough: number | undefined;
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
    readonly outbox?: Partial<Pick<OutboxStart, 'comparing' | 'updatesFrom'>>;
  }) {
    const { from } = options;
    this.number = options.number;
    this.#observer = options.observer;
    this.#deadLetters = options.deadLetters;
    this.#cursor = from?.cursor ?? { created: null, position: 0, digest: null };
    this.#series = from?.series ?? options.newSeries;
    this.#sequencer = new Sequencer(options.sequence, from?.sources);
    this.alarms = new Alarms(processorLimits.alarmsPerPartitionMax, from?.alarms);
    this.windows = new WindowOperator(options.windows, from?.windows);
    this.outbox = new Outbox({
      ordinal: from?.ordinal ?? 0,
      rows: from?.unsent ?? [],
      comparing: options.outbox?.comparing ?? false,
      updatesFrom: options.outbox?.updatesFrom ?? 0,
    });
    this.#tellWatermarks();
    for (const alarm of this.alarms.all()) this.#observer.alarm(alarm);
  }

  /** Where reading goes on. */
  get cursor(): StreamCursor {
    return this.#cursor;
  }

  /** Whether anything changed since the last capture. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** Its counts and what it waits for; the records go through {@link apply}. */
  get sequence(): Readonly<Pick<Sequencer, 'forgottenOld' | 'forgottenAtLimit' | 'sourcesWaiting'>> {
    return this.#sequencer;
  }

  /** The last capture could not be saved. */
  markDirty(): void {
    this.#dirty = true;
  }

  /** The stream is another one than remembered, or begins behind the position. */
  moveTo(cursor: StreamCursor): void {
    this.#cursor = cursor;
    this.#dirty = true;
  }

  /** Puts a row into the outbox that the store had refused. */
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
      this.#applyBatch(address, decoded.batch, message.storedAt);
      this.#observer.heard(address, now);
    } else if (fault !== undefined)
      this.#deadLetters.addBatch({ at: now, subject, streamSequence: sequence, ...fault }, data);
    this.#cursor = { created: this.#cursor.created, position: sequence, digest: crc32(data) };
    this.#mayStopComparing();
    this.#dirty = true;
  }

  #faultOf(
    address: IngestAddress | undefined,
    decoded: ReturnType<typeof decodeBatch>,
  ): { readonly reason: string; readonly message: string } | undefined {
    if (address === undefined) {
      return { reason: 'subject', message: 'the subject is not one that a gateway publishes to' };
    }
    if (!decoded.ok) return decoded.fault;
    const { site, gateway, lane } = decoded.batch;
    if (site !== address.site || gateway !== address.gateway || lane !== address.lane) {
      const message = `the batch says ${site}/${gateway} ${lane}, its subject ${address.site}/${address.gateway} ${address.lane}`;
      return { reason: 'address', message };
    }
    if (this.#sequencer.isFull(address, processorLimits.gatewaysPerPartitionMax)) {
      const message = `partition ${this.number} already has ${processorLimits.gatewaysPerPartitionMax} gateways`;
      return { reason: 'too-many-gateways', message };
    }
    return undefined;
  }

  #applyBatch(address: IngestAddress, batch: Batch, storedAt: EpochMs): void {
    const judgement = this.#sequencer.accept(address, batch.epoch, batch.records, storedAt);
    const { from, begun } = judgement;
    this.counts.batches++;
    this.counts.duplicates += judgement.duplicates;
    this.counts.ahead += judgement.ahead;
    if (begun !== false) this.counts.epochs++;
    if (begun === 'after-loss' && address.lane === 'telemetry') this.windows.lose(address, null);
    for (const cause of judgement.alarms) {
      this.#observer.alarm(this.alarms.raise(address, cause, batch.epoch, storedAt));
    }
    for (let index = from; index < batch.records.length; index++) {
      this.counts.records++;
      this.#applyRecord(address, batch, batch.records[index]!, judgement);
    }
  }

  #applyRecord(address: IngestAddress, batch: Batch, record: FloorRecord, { floor, run }: Judgement): void {
    switch (record.kind) {
      case 'rollups':
        this.windows.merge(address, batch.sensors, record, run, this.#out);
        this.#observeRollups(address, batch, record);
        break;
      case 'tick':
        this.windows.advance(address, record.watermark, this.#out);
        this.#observer.watermark(address, record.watermark);
        break;
      case 'anomaly': {
        const row = anomalyRow(address, record);
        this.outbox.put(row);
        this.#observer.anomaly(row);
        break;
      }
      case 'status': {
        const row = gatewayRow(address, record);
        this.outbox.put(row);
        this.#observer.gateway(row);
        break;
      }
      case 'start':
        break;
      case 'gap':
        this.counts.gaps += record.to - Math.max(floor, record.number - 1);
        if (address.lane === 'telemetry') this.#loseFrames(address, record, floor);
        break;
    }
  }

  /** Marks what the numbers of a gap above `floor` touched; those at or below it were applied, or were part of an earlier gap. */
  #loseFrames(address: IngestAddress, gap: GapRecord, floor: number): void {
    let next = Math.max(floor + 1, gap.number);
    for (const { number, to, readings, eventTimes } of gap.frames) {
      if (to < next) continue;
      if (number > next) break;
      if (eventTimes !== null) this.windows.lose(address, [eventTimes.from, eventTimes.to]);
      else if (readings > 0) this.windows.lose(address, null);
      next = to + 1;
    }
    // Nobody knows what the rest held.
    if (next <= gap.to) this.windows.lose(address, null);
  }

  #observeRollups(address: IngestAddress, batch: Batch, record: Extract<FloorRecord, { kind: 'rollups' }>): void {
    const { sensor, n } = record.columns;
    for (let index = 0; index < sensor.length; index++) {
      const name = batch.sensors[sensor[index]!];
      this.counts.readings += n[index]!;
      if (name === undefined) continue;
      const ref = { site: address.site, gateway: address.gateway, device: name.device, metric: name.metric };
      const moving = rollupMoving(record, index);
      this.#observer.rollup(ref, name.unit, rollupStart(record, index), rollupAggregate(record, index), moving);
    }
    this.counts.rollups += sensor.length;
  }

  /** After a start: pages know how far every gateway had come. */
  #tellWatermarks(): void {
    for (const { site, gateway, watermark } of this.windows.watermarks()) {
      if (watermark !== undefined) this.#observer.watermark({ site, gateway }, watermark);
    }
  }

  /**
   * The stream ended at this sequence when reading began: whatever a process before this one has made of it, it made of messages up to
   * there.
   */
  streamEnds(sequence: number): void {
    this.#comparedThrough ??= sequence;
    this.#mayStopComparing();
  }

  #mayStopComparing(): void {
    if (this.#comparedThrough !== undefined && this.#cursor.position >= this.#comparedThrough)
      this.outbox.stopComparing();
  }

  /** Everything that a checkpoint must hold, copied at one instant. `clean`: nothing is under way any more, see `CheckpointState`. */
  capture(clean = false): CheckpointState {
    this.#dirty = false;
    const { ordinal, rows } = this.outbox.capture();
    return {
      series: this.#series,
      ordinal,
      partition: this.number,
      cursor: this.#cursor,
      sources: this.#sequencer.snapshot(),
      alarms: this.alarms.all(),
      windows: this.windows.snapshot(),
      unsent: rows,
      clean,
      comparing: this.outbox.comparing,
    };
  }
}
