import { randomBytes } from 'node:crypto';

import type { Logger } from '@floorwatch/runtime';

import type { CheckpointFile, LoadedCheckpoint } from './checkpoint/checkpoint-file.ts';
import type { PartitionReader } from './consume/partition-reader.ts';
import type { DeadLetters } from './dead-letters/dead-letters.ts';
import type { FloorObserver } from './floor-observer.ts';
import { SafeFloors } from './floors/safe-floors.ts';
import { processorLimits } from './limits.ts';
import { PartitionRunner } from './partition-runner.ts';
import { Partition } from './partition.ts';
import type { SequencerLimits } from './sequence/sequencer.ts';
import type { WindowConfig } from './window/window-config.ts';
import { type WriteRight, writesWithin } from './write/bounded-writes.ts';
import { LateCorrector } from './write/late-corrector.ts';
import { OutboxWriter } from './write/outbox-writer.ts';
import type { RetentionClock } from './write/retention-clock.ts';
import { StoreComparer } from './write/store-comparer.ts';
import type { Store } from './write/store.ts';

/** One partition at work. */
export interface Lane {
  /** How its windows and numbers are made. */
  readonly config: { readonly windows: WindowConfig; readonly sequence: SequencerLimits };
  readonly runner: PartitionRunner;
  readonly writer: OutboxWriter;
  readonly corrector: LateCorrector;
  readonly comparer: StoreComparer;
  /** The checkpoint that it begins with, if there is one. */
  readonly loaded: LoadedCheckpoint;
  /** Before that time of `performance.now()` a request of a process before may still land in the store. */
  readonly landed: number;
  reader: PartitionReader | undefined;
}

/** Puts one partition together with what its last checkpoint holds. */
export function assemblePartition(options: {
  readonly number: number;
  readonly windows: Pick<WindowConfig, 'sizes' | 'allowedLateness'> & Partial<Pick<WindowConfig, 'openWindowsMax'>>;
  readonly streamAgeMax: SequencerLimits['streamAgeMax'];
  readonly file: Pick<CheckpointFile, 'path' | 'save'>;
  readonly loaded: LoadedCheckpoint;
  readonly store: Store;
  readonly deadLetters: DeadLetters;
  readonly observer: FloorObserver;
  readonly logger: Logger;
  /** The claim on the partition: nothing is written and no checkpoint saved without it. */
  readonly right: WriteRight;
  /** Is told the times that the NATS server puts on messages. */
  readonly clock?: Pick<RetentionClock, 'saw'>;
}): Lane {
  const { number, file, loaded, store, deadLetters, observer, logger, right } = options;
  const from = loaded.kind === 'none' ? undefined : loaded.state;
  // Until then a request of a process that was killed may still land, of one that had not come to its first checkpoint too.
  const landed = from?.clean === true ? 0 : performance.now() + store.lingerMs;
  const windows = {
    ...options.windows,
    gatewaysMax: processorLimits.gatewaysPerPartitionMax,
    sensorsPerGatewayMax: processorLimits.sensorsPerGatewayMax,
    openWindowsMax: options.windows.openWindowsMax ?? processorLimits.openWindowsPerPartitionMax,
    lostRangesPerGatewayMax: processorLimits.lostRangesPerGatewayMax,
    lostKept: processorLimits.lostKeptMs,
    lostSealedMax: processorLimits.lostSealedMsMax,
    lateWindowsMax: processorLimits.lateWindowsPerPartitionMax,
    lateRollupsMax: processorLimits.lateRollupsPerPartitionMax,
  };
  const sequence = {
    streamAgeMax: options.streamAgeMax,
    epochsPerSourceMin: processorLimits.epochsPerSourceMin,
    epochsPerSourceMax: processorLimits.epochsPerSourceMax,
  };
  const partition = new Partition({
    number,
    windows,
    sequence,
    newSeries: randomBytes(8).toString('hex'),
    observer,
    deadLetters,
    from,
    outbox: { updatesFrom: landed },
  });
  const floors = new SafeFloors(from);
  const runner = new PartitionRunner({
    partition,
    file,
    deadLetters,
    floors,
    logger,
    right,
    ...(options.clock !== undefined && { clock: options.clock }),
  });
  const writer = new OutboxWriter({
    outbox: partition.outbox,
    store: writesWithin(store, right),
    deadLetters,
    logger,
    settle: () => partition.settle(),
  });
  const corrector = new LateCorrector({ target: partition, store, logger, ready: () => runner.mayCorrect });
  const comparer = new StoreComparer(partition.outbox, store, logger);
  const config = { windows, sequence };
  return { config, runner, writer, corrector, comparer, loaded, landed, reader: undefined };
}

/** Writes out what a partition has for the store until `signal` aborts. To be called when the store can be asked. */
export async function writeOut(lane: Lane, signal: AbortSignal): Promise<void> {
  await Promise.all([
    lane.writer.run(signal),
    lane.corrector.run(signal),
    lane.comparer.run(lane.landed - performance.now(), signal),
  ]);
}

/** Readings that found no place in a window since the start, by reason. */
export function refusedReadings(lanes: readonly Lane[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { runner } of lanes) {
    for (const [reason, readings] of runner.partition.windows.shared.refusedReadings) {
      sums[reason] = (sums[reason] ?? 0) + readings;
    }
  }
  return sums;
}
