import { randomBytes } from 'node:crypto';

import { days, type GatewayName, partitionOf } from '@floorwatch/contracts';
import { type Logger, messageOf, pause } from '@floorwatch/runtime';

import type { LoadedCheckpoint } from '../checkpoint/checkpoint-file.ts';
import { processorLimits } from '../limits.ts';
import type { PartitionRunner } from '../partition-runner.ts';
import type { StoredGateway } from '../stored-gateway.ts';
import type { Store } from '../write/store.ts';
import { type FoundGateway, chosen, findGateways, surveyGateway, type SurveyedStore } from './store-survey.ts';

/** A partition that is to begin. */
export interface RecoveredLane {
  readonly loaded: LoadedCheckpoint;
  readonly runner: Pick<PartitionRunner, 'partition' | 'begun'>;
}

/** What the claim said when it was taken: the last checkpoint that anybody is known to have saved for the partition, and the highest run. */
export interface BeforeClaim {
  readonly checkpoint: { readonly series: string; readonly ordinal: number } | null;
  readonly run: number;
}

/**
 * Lets partitions begin. One that goes on from its newest checkpoint begins at once. One without a checkpoint, or with an older one, waits until no
 * request of a processor before can land in the store any more, and learns from the store what is there: which run is which epoch's, and which
 * windows and episodes may be stored. Until then nothing is read, written or saved, so nothing has to be looked at a second time.
 */
export class Recovery {
  readonly #store: SurveyedStore & Pick<Store, 'lingerMs'>;
  readonly #ageMax: number;
  readonly #logger: Logger;
  readonly #storeConnected: (signal: AbortSignal) => Promise<void>;
  readonly #isOf: (partition: number) => (name: GatewayName) => boolean;
  /** The looks at the whole store, which all partitions share: at once, and when nothing can land any more. */
  #first: Promise<readonly FoundGateway[]> | undefined;
  #second: Promise<readonly FoundGateway[]> | undefined;
  /** Partitions that wait. */
  readonly waiting = new Set<number>();

  /**
   * @param options.streamAgeMax how long the stream can hold a record.
   * @param options.storeConnected resolves when the store can be asked, or when the signal aborts.
   */
  constructor(options: {
    readonly store: SurveyedStore & Pick<Store, 'lingerMs'>;
    readonly streamAgeMax: number;
    readonly storeConnected: (signal: AbortSignal) => Promise<void>;
    readonly logger: Logger;
    /** Which gateways are a partition's. Default: those whose names hash to it. */
    readonly isOf?: (partition: number) => (name: GatewayName) => boolean;
  }) {
    this.#store = options.store;
    this.#ageMax = options.streamAgeMax + days(1);
    this.#storeConnected = options.storeConnected;
    this.#logger = options.logger;
    this.#isOf = options.isOf ?? ((partition) => (name) => partitionOf(name) === partition);
  }

  /** Resolves when the partition has begun, or when `signal` aborts. To be called when its claim is taken. */
  async begin({ loaded, runner }: RecoveredLane, before: BeforeClaim | undefined, signal: AbortSignal): Promise<void> {
    const { partition } = runner;
    if (isNewest(loaded, before)) {
      runner.begun = true;
      return;
    }
    this.waiting.add(partition.number);
    try {
      if (!(await this.#isFirst(loaded, before, partition.number, signal))) {
        const facts = { partition: partition.number, waitsMs: this.#store.lingerMs, checkpoint: before?.checkpoint };
        this.#logger.warn(
          facts,
          'this is not the newest checkpoint of the partition, or there is none; beginning when the store has been looked at',
        );
        this.#second ??= pause(this.#store.lingerMs, signal).then(async () => this.#find(signal));
        const gateways = await this.#survey(partition.number, await this.#second, signal);
        signal.throwIfAborted();
        const series = follows(loaded, before) ? undefined : randomBytes(8).toString('hex');
        partition.recover({ gateways, runsTo: before?.run ?? 0 }, series);
      }
      runner.begun = true;
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.waiting.delete(partition.number);
    }
  }

  /** Whether nobody has ever worked on the partition. */
  async #isFirst(
    loaded: LoadedCheckpoint,
    before: BeforeClaim | undefined,
    partition: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (loaded.kind !== 'none' || (before !== undefined && before.checkpoint !== null)) return false;
    this.#first ??= this.#find(signal);
    return chosen(await this.#first, this.#isOf(partition)).length === 0;
  }

  async #find(signal: AbortSignal): Promise<readonly FoundGateway[]> {
    return this.#patiently(async () => findGateways(this.#store), signal);
  }

  async #survey(partition: number, found: readonly FoundGateway[], signal: AbortSignal): Promise<StoredGateway[]> {
    const gateways: StoredGateway[] = [];
    for (const gateway of chosen(found, this.#isOf(partition))) {
      gateways.push(
        await this.#patiently(async () => surveyGateway(this.#store, gateway, this.#ageMax, signal), signal),
      );
    }
    return gateways;
  }

  /** Asks the store until it answers. @throws the reason of `signal` */
  async #patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      await this.#storeConnected(signal);
      signal.throwIfAborted();
      try {
        return await ask();
      } catch (error) {
        this.#logger.warn(
          { error: messageOf(error) },
          'the store can not be read: partitions without their newest checkpoint wait for it',
        );
        await pause(processorLimits.retryPauseMs, signal);
      }
    }
  }
}

/** Whether what is saved now follows the last that was: at most that one, which is damaged, is missing. */
function follows(loaded: LoadedCheckpoint, before: BeforeClaim | undefined): boolean {
  if (loaded.kind === 'none') return false;
  const { series, ordinal } = loaded.state;
  const last = before?.checkpoint ?? undefined;
  return last === undefined ? loaded.kind === 'fallback' : last.series === series && last.ordinal <= ordinal + 1;
}

/** Whether nothing was saved for the partition after what was loaded. */
function isNewest(loaded: LoadedCheckpoint, before: BeforeClaim | undefined): boolean {
  if (loaded.kind !== 'newest') return false;
  const last = before?.checkpoint ?? undefined;
  return last === undefined || (last.series === loaded.state.series && last.ordinal <= loaded.state.ordinal);
}
