import { type DurationMs, encodeFloorMessage, floorSubject } from '@floorwatch/contracts';
import { type Logger, messageOf, pause } from '@floorwatch/runtime';
import { setImmediate as othersTurn } from 'node:timers/promises';

import { processorLimits } from '../limits.ts';
import { floorMessages } from './floor-messages.ts';
import type { SafeFloors } from './safe-floors.ts';

/** Writes a message to the connection without waiting for anybody; may throw while there is none. */
export type PublishFloor = (subject: string, data: Uint8Array) => void;

/**
 * Tells gateways from time to time how far everything is safe and what is missing. A message that gets lost is harmless, because the next
 * says the same and more; so nothing here is tried again, and nothing waits for it.
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
    while (!signal.aborted) {
      await pause(this.#interval, signal);
      await this.#tellAll(signal);
    }
  }

  async #tellAll(signal: AbortSignal): Promise<void> {
    for (const { older } of this.#partitions) {
      if (older === undefined) continue;
      let count = 0;
      for (const message of floorMessages(older)) {
        // Thousands of gateways must not hold up what is read meanwhile.
        if (++count % processorLimits.floorMessagesAtOnce === 0) await othersTurn();
        const publish = this.#connection();
        if (publish === undefined || signal.aborted) return;
        try {
          publish(floorSubject(message), encodeFloorMessage(message));
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
}
