import {
  type Batch,
  type Collector,
  type EpochMs,
  type FloorRecord,
  type GapRecord,
  type IngestAddress,
  lastNumber,
  type Row,
  type TickRecord,
} from '@floorwatch/contracts';

import type { CheckpointState } from './checkpoint/format.ts';
import type { FloorObserver } from './floor-observer.ts';
import { processorLimits } from './limits.ts';
import { anomalyRow, countedRows, gatewayRow } from './rows.ts';
import { type AlarmCause, Alarms } from './sequence/alarms.ts';
import { type Judgement, Sequencer, type SequencerLimits } from './sequence/sequencer.ts';
import { Evidence } from './verify/evidence.ts';
import { Ledger } from './verify/ledger.ts';
import type { WindowConfig } from './window/window-config.ts';
import { WindowOperator } from './window/window-operator.ts';

/** Alarms of records of two machines that both are taken. */
const COPIES: ReadonlySet<AlarmCause> = new Set(['shorter', 'second-successor', 'not-current']);

/** What happened since the start. */
export interface FoldCounts {
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
 * What batches become: sequence → window → rows. Pure but for the observer, whom nothing depends on; the same batches in the same order
 * make the same rows, bit by bit, for live reading and for `reprocess`.
 */
export class Fold {
  readonly counts: FoldCounts = {
    batches: 0,
    records: 0,
    rollups: 0,
    readings: 0,
    duplicates: 0,
    ahead: 0,
    gaps: 0,
    epochs: 0,
  };
  readonly sequencer: Sequencer;
  readonly windows: WindowOperator;
  readonly alarms: Alarms;
  readonly ledger: Ledger;
  readonly evidence: Evidence;
  readonly #observer: FloorObserver;
  readonly #out: Collector<Row>;

  constructor(options: {
    readonly windows: WindowConfig;
    readonly sequence: SequencerLimits;
    readonly observer: FloorObserver;
    readonly out: Collector<Row>;
    readonly from:
      | (Pick<CheckpointState, 'sources' | 'alarms' | 'windows'> &
          Partial<Pick<CheckpointState, 'ledger' | 'evidence'>>)
      | undefined;
  }) {
    const { from } = options;
    this.#observer = options.observer;
    this.#out = options.out;
    this.sequencer = new Sequencer(options.sequence, from?.sources);
    this.alarms = new Alarms(processorLimits.alarmsPerPartitionMax, from?.alarms);
    this.windows = new WindowOperator(options.windows, from?.windows);
    this.ledger = new Ledger(from?.ledger);
    this.evidence = new Evidence(from?.evidence);
  }

  /** Applies what is new in a batch. */
  apply(address: IngestAddress, batch: Batch, storedAt: EpochMs): Judgement {
    const judgement = this.sequencer.accept(address, batch.epoch, batch.records, storedAt);
    const { from, begun, refutedFrom } = judgement;
    this.counts.batches++;
    this.counts.duplicates += judgement.duplicates;
    this.counts.ahead += judgement.ahead;
    if (begun !== false) this.counts.epochs++;
    if (refutedFrom !== undefined) {
      this.ledger.refuteGaps(address, { lane: address.lane, epoch: batch.epoch, from: refutedFrom });
    }
    if (begun === 'after-loss' && address.lane === 'telemetry') this.windows.recover(address, this.#out);
    if (begun === 'after-loss') {
      this.ledger.loseEpochEnd(address, { lane: address.lane, epoch: batch.epoch, run: judgement.run });
      this.evidence.beginAgain(address);
    }
    for (const cause of judgement.alarms) {
      // A copy of the gateway may have sent some episodes twice.
      if (COPIES.has(cause)) this.evidence.beginAgain(address);
      this.#observer.alarm(this.alarms.raise(address, cause, batch.epoch, storedAt));
    }
    for (let index = from; index < batch.records.length; index++) {
      this.counts.records++;
      const record = batch.records[index]!;
      this.#applyRecord(address, batch, record, judgement);
      const place = { run: judgement.run, number: lastNumber(record) };
      if (address.lane === 'telemetry') this.windows.noteReach(address, place);
    }
    return judgement;
  }

  #applyRecord(address: IngestAddress, batch: Batch, record: FloorRecord, { floor, run }: Judgement): void {
    switch (record.kind) {
      case 'rollups':
        this.windows.merge(address, batch.sensors, record, run, this.#out);
        this.evidence.rollups(address, record);
        this.#observer.rollups(address, batch.sensors, record);
        this.counts.rollups += record.columns.n.length;
        for (const n of record.columns.n) this.counts.readings += n;
        break;
      case 'tick':
        this.windows.advance(address, record.watermark, this.#out);
        this.#observer.watermark(address, record.watermark);
        this.evidence.tick(address, record.watermark);
        this.#applyCounts(address, record, run);
        break;
      case 'anomaly': {
        const row = anomalyRow(address, record, batch.epoch);
        this.#out.emit(row);
        this.evidence.episode(address, record);
        this.#observer.anomaly(row);
        break;
      }
      case 'status': {
        const row = gatewayRow(address, record, this.sequencer.placeOf(address, batch.epoch, record.number));
        this.#out.emit(row);
        this.evidence.report(address, record);
        this.#observer.gateway(row);
        break;
      }
      case 'start':
        break;
      case 'gap':
        this.counts.gaps += record.to - Math.max(floor, record.number - 1);
        this.ledger.gap(address, { lane: address.lane, epoch: batch.epoch, run, floor }, record);
        // An earlier series of checkpoints has taken these, so the store has more than is known here.
        if (record.reason === 'trimmed') this.evidence.beginAgain(address);
        if (address.lane !== 'telemetry') break;
        if (record.reason === 'trimmed') this.windows.recover(address, this.#out);
        else this.#loseFrames(address, record, floor);
        break;
    }
  }

  #applyCounts(address: IngestAddress, { number, counts }: TickRecord, run: number): void {
    this.ledger.tick(address, { run, number }, counts);
    if (counts === undefined) return;
    for (const row of countedRows(address, counts, { run, number })) this.#out.emit(row);
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
}
