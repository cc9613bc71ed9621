import { epochMs } from '@floorwatch/contracts';
import { Condition, type Logger, messageOf, pause } from '@floorwatch/runtime';

import type { CheckpointFile } from './checkpoint/checkpoint-file.ts';
import type { CheckpointState } from './checkpoint/format.ts';
import type { ReadTarget } from './consume/partition-reader.ts';
import type { DeadLetters } from './dead-letters/dead-letters.ts';
import type { SafeFloors } from './floors/safe-floors.ts';
import { processorLimits } from './limits.ts';
import type { Partition } from './partition.ts';
import { ALARM_CAUSES } from './sequence/alarms.ts';
import type { RetentionClock } from './write/retention-clock.ts';

const NANOS_PER_MS = 1_000_000n;

/** What one partition's checkpoints have cost. */
export interface CheckpointFigures {
  saved: number;
  failed: number;
  /** The last one could not be saved. */
  failing: boolean;
  bytes: number;
  /** How long the last one held up everything else, and how long it took in all, in milliseconds. */
  pauseMs: number;
  durationMs: number;
  /** The processor's clock when the last one was safe, epoch milliseconds. */
  savedAt: number | undefined;
}

/** Joins a partition with its checkpoint file, and gives the reader its view of both. */
export class PartitionRunner {
  readonly partition: Partition;
  readonly #file: Pick<CheckpointFile, 'path' | 'save'>;
  readonly #deadLetters: DeadLetters;
  readonly floors: SafeFloors;
  readonly #logger: Logger;
  readonly #clock: Pick<RetentionClock, 'saw'> | undefined;
  readonly #right: { readonly mayAct: boolean };
  /** Nothing is saved before it is known whether the state is the newest, see `Recovery`. */
  begun = false;
  /** The newest checkpoint that this process has saved. */
  saved: { readonly series: string; readonly ordinal: number } | undefined;
  /** Who waits for a checkpoint. */
  readonly #cuts = new Set<(state: CheckpointState) => void>();
  readonly checkpoints: CheckpointFigures = {
    saved: 0,
    failed: 0,
    failing: false,
    bytes: 0,
    pauseMs: 0,
    durationMs: 0,
    savedAt: undefined,
  };
  /** Times that reading stopped because the outbox was full. */
  backPressure = 0;
  heldBack = false;
  /** Reading rests because somebody holds it, see {@link hold}. */
  resting = false;
  /** How many hold reading. */
  #holds = 0;
  readonly #released = new Condition();

  constructor(options: {
    readonly partition: Partition;
    readonly file: Pick<CheckpointFile, 'path' | 'save'>;
    readonly deadLetters: DeadLetters;
    readonly floors: SafeFloors;
    readonly logger: Logger;
    /** The claim on the partition. */
    readonly right: { readonly mayAct: boolean };
    readonly clock?: Pick<RetentionClock, 'saw'>;
  }) {
    this.partition = options.partition;
    this.#file = options.file;
    this.#deadLetters = options.deadLetters;
    this.floors = options.floors;
    this.#logger = options.logger;
    this.#right = options.right;
    this.#clock = options.clock;
  }

  /**
   * Saves a checkpoint if anything changed, and once more when nothing does any longer, so that gateways hear of the last change too. A
   * failure is logged and the next one tried in its time; what waits for it goes on waiting.
   *
   * @param last nothing is read or written any more: the checkpoint says so, if it is sure that nothing can still land in the store.
   */
  async checkpoint(last = false): Promise<void> {
    // What another processor may go by already must not be passed over by this one.
    if (!this.begun || !this.#right.mayAct) return;
    if (!this.partition.dirty && !this.floors.isBehind && !last && this.#cuts.size === 0) return;
    const cuts = new Set(this.#cuts);
    const begun = performance.now();
    const state = this.partition.capture(last && !this.partition.outbox.isLanding(begun));
    this.checkpoints.pauseMs = performance.now() - begun;
    try {
      // What this checkpoint passes over as unusable must be on the disk before it.
      await this.#deadLetters.flush();
      this.checkpoints.bytes = await this.#file.save(state);
      this.partition.outbox.saved(state.ordinal);
      this.floors.saved({ series: state.series, ordinal: state.ordinal, cursor: state.cursor, sources: state.sources });
      this.saved = { series: state.series, ordinal: state.ordinal };
      this.checkpoints.saved++;
      this.checkpoints.failing = false;
      this.checkpoints.savedAt = Date.now();
      for (const take of cuts) take(state);
    } catch (error) {
      this.partition.markDirty();
      this.checkpoints.failed++;
      this.checkpoints.failing = true;
      this.#logger.error(
        { partition: this.partition.number, file: this.#file.path, error: messageOf(error) },
        'the checkpoint can not be saved; trying again, a restart would begin at the one before',
      );
    }
    this.checkpoints.durationMs = performance.now() - begun;
  }

  /** The next checkpoint that is taken and saved. @throws the reason of `signal` */
  async cut(signal: AbortSignal): Promise<CheckpointState> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#cuts.delete(take);
        signal.removeEventListener('abort', abort);
      };
      const take = (state: CheckpointState): void => {
        end();
        resolve(state);
      };
      const abort = (): void => {
        end();
        reject(signal.reason as Error);
      };
      this.#cuts.add(take);
      signal.addEventListener('abort', abort);
    });
  }

  /** Whether the store may be read and corrected windows may go into the outbox. */
  get mayCorrect(): boolean {
    return this.partition.outbox.size < processorLimits.outboxRowsMax;
  }

  /** The partition as the reader sees it. */
  get target(): ReadTarget {
    const { partition } = this;
    return {
      number: partition.number,
      get cursor() {
        return partition.cursor;
      },
      moveTo: (cursor) => partition.moveTo(cursor),
      apply: ({ subject, data, seq, timestampNanos }) => {
        const storedAt = epochMs(Number(timestampNanos / NANOS_PER_MS));
        this.#clock?.saw(storedAt);
        partition.apply({ subject, data, sequence: seq, storedAt }, epochMs(Date.now()));
        this.#tellAlarms();
      },
      hasRoom: () => this.#hasRoom,
      roomAgain: async (signal) => {
        await this.#roomAgain(signal);
        this.resting = this.#holds > 0;
        await this.#released.until(() => this.#holds === 0, signal);
        this.resting = false;
      },
    };
  }

  /**
   * Holds reading until the returned function is called. Once {@link resting} is true, nothing of the partition changes but what goes to the
   * store; a consumer that stands may first have to be told to look again.
   */
  hold(): () => void {
    let isHeld = true;
    this.#holds += 1;
    return () => {
      if (isHeld) this.#holds -= 1;
      isHeld = false;
      this.#released.notify();
    };
  }

  get #hasRoom(): boolean {
    const { outbox, windows } = this.partition;
    if (this.#holds > 0) return false;
    return outbox.size < processorLimits.outboxRowsMax && !windows.lateWindows.full && this.#deadLetters.hasRoom;
  }

  #tellAlarms(): void {
    for (const { site, gateway, lane, cause, epoch } of this.partition.alarms.takeNew()) {
      const { kind, meaning, remedy } = ALARM_CAUSES[cause];
      this.#logger.error({ alarm: kind, site, gateway, lane, epoch, remedy }, meaning);
    }
  }

  async #roomAgain(signal: AbortSignal): Promise<void> {
    while (!this.#deadLetters.hasRoom && !signal.aborted) {
      this.heldBack = true;
      // Its failure is told by the checkpoints, which need it too.
      await this.#deadLetters.flush().catch(async () => pause(processorLimits.retryPauseMs, signal));
    }
    this.heldBack = false;
    const { outbox, number, windows } = this.partition;
    while (windows.lateWindows.full && !signal.aborted) {
      this.heldBack = true;
      await pause(processorLimits.retryPauseMs, signal);
    }
    this.heldBack = false;
    if (outbox.size < processorLimits.outboxRowsMax) return;
    this.backPressure++;
    this.heldBack = true;
    this.#logger.warn(
      { partition: number, unsent: outbox.size },
      'the store is behind: reading waits until it has caught up',
    );
    while (outbox.size > processorLimits.outboxRowsResume && !signal.aborted) await outbox.changed(signal);
    this.heldBack = false;
    this.#logger.info({ partition: number, unsent: outbox.size }, 'the store has caught up: reading goes on');
  }
}
