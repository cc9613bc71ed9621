import { type DurationMs, encodeFloorMessage, floorSubject, gatewayKey } from '@floorwatch/contracts';
import { type Logger, messageOf, pause } from '@floorwatch/runtime';
import { setImmediate as othersTurn } from 'node:timers/promises';

import { processorLimits } from '../limits.ts';
import { type FloorCut, floorMessages } from './floor-messages.ts';
import type { SafeFloors } from './safe-floors.ts';

/** Writes a message to the connection without waiting for anybody; may throw while there is none. */
export type PublishFloor = (subject: string, data: Uint8Array) => void;

/**
 * Tells gateways how far everything is safe and what is missing: a gateway whose floors have moved as soon as a checkpoint makes them
 * safe, because it may wait for that to send more, and every gateway from time to time. A message that gets lost is harmless, because
 * the next says the same and more; so nothing here is tried again, and nothing waits for it.
 */
export class FloorPublisher {
  readonly #interval: DurationMs;
  readonly #partitions: readonly SafeFloors[];
  readonly #connection: () => PublishFloor | undefined;
  readonly #logger: Logger;
  published = 0;
  failed = 0;
  /** Whether the last round failed, so that a long trouble is told once. */
  #failing = false;
  /** What each gateway was told last of its lanes. */
  readonly #told = new Map<string, string>();

  /** @param options.connection where to publish; undefined while there is no connection: what can't leave at once is not worth keeping. */
  constructor(options: {
    readonly interval: DurationMs;
    readonly partitions: readonly SafeFloors[];
    readonly connection: () => PublishFloor | undefined;
    readonly logger: Logger;
  }) {
    this.#interval = options.interval;
    this.#partitions = options.partitions;
    this.#connection = options.connection;
    this.#logger = options.logger;
  }

  /** Tells until `signal` aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#repeat(signal),
      ...this.#partitions.map(async (partition) => this.#follow(partition, signal)),
    ]);
  }

  async #repeat(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(this.#interval, signal);
      for (const { older } of this.#partitions) await this.#tell(older, () => true, signal);
    }
  }

  async #follow(partition: SafeFloors, signal: AbortSignal): Promise<void> {
    let last: FloorCut | undefined;
    const hasMoved = (key: string, lanes: string): boolean => this.#told.get(key) !== lanes;
    while (!signal.aborted) {
      await partition.moved.until(() => partition.older !== last, signal);
      last = partition.older;
      await this.#tell(last, hasMoved, signal);
    }
  }

  async #tell(
    cut: FloorCut | undefined,
    wanted: (key: string, lanes: string) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    if (cut === undefined) return;
    let count = 0;
    for (const message of floorMessages(cut)) {
      // Thousands of gateways must not hold up what is read meanwhile.
      if (++count % processorLimits.floorMessagesAtOnce === 0) await othersTurn();
      const key = gatewayKey(message);
      const lanes = JSON.stringify(message.lanes);
      if (!wanted(key, lanes)) continue;
      const publish = this.#connection();
      if (publish === undefined || signal.aborted) return;
      try {
        publish(floorSubject(message), encodeFloorMessage(message));
        this.#told.set(key, lanes);
        this.published++;
        this.#failing = false;
      } catch (error) {
        this.failed++;
        if (!this.#failing) {
          this.#logger.warn(
            { error: messageOf(error) },
            'floor messages can not be sent; gateways keep what they have',
          );
        }
        this.#failing = true;
        return;
      }
    }
  }
}
