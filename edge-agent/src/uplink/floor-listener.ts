import {
  decodeFloorMessage,
  type EpochMs,
  epochMs,
  type FloorMessage,
  floorSubject,
  type GatewayName,
  gatewayKey,
} from '@floorwatch/contracts';
import type { Logger } from '@floorwatch/runtime';

import type { NatsLink } from './nats-link.ts';

/** What became of the floor messages since the start. */
export interface FloorListenerState {
  /** Handed on to the lanes. */
  readonly heard: number;
  /**
   * Older than one heard before, of the same series of checkpoints: a processor that was replaced still speaks, or the other one was forged.
   */
  readonly outdated: number;
  /** No floor messages, or those of another gateway. */
  readonly malformed: number;
  /** What was wrong with the last malformed one. */
  readonly lastMalformed?: string;
  readonly heardAt: EpochMs | null;
}

/** So many outdated messages in a row, a minute of them, are believed: nobody else speaks, so what they are older than was forged. */
const OUTDATED_MAX = 12;

/** Hears how far processors have come with this gateway, and hands on what is news. */
export class FloorListener {
  readonly #gateway: GatewayName;
  readonly #logger: Logger;
  readonly #onFloor: (message: FloorMessage, isOutdated: boolean) => void;
  #last: Pick<FloorMessage, 'checkpoints' | 'ordinal'> | undefined;
  /** In a row. */
  #outdated = 0;
  #state: FloorListenerState = { heard: 0, outdated: 0, malformed: 0, heardAt: null };

  /** @param onFloor takes what is news; of what is outdated it takes only what it says against the news. */
  constructor(gateway: GatewayName, logger: Logger, onFloor: (message: FloorMessage, isOutdated: boolean) => void) {
    this.#gateway = gateway;
    this.#logger = logger;
    this.#onFloor = onFloor;
  }

  /** Listens until the link closes. To be called once. */
  start(link: Pick<NatsLink, 'subscribe'>): void {
    link.subscribe(floorSubject(this.#gateway), (bytes) => this.hear(bytes));
  }

  /** Takes the bytes of a message. Never throws: whoever may publish to the subject must not stop the agent. */
  hear(bytes: Uint8Array): void {
    const decoded = decodeFloorMessage(bytes);
    if (!decoded.ok) return this.#reject(decoded.why);
    const { message } = decoded;
    if (gatewayKey(message) !== gatewayKey(this.#gateway)) return this.#reject(`it is for ${gatewayKey(message)}`);
    const { checkpoints, ordinal } = message;
    if (this.#last?.checkpoints === checkpoints && ordinal < this.#last.ordinal) {
      this.#state = { ...this.#state, outdated: this.#state.outdated + 1 };
      this.#outdated += 1;
      if (this.#outdated < OUTDATED_MAX) return this.#onFloor(message, true);
      this.#logger.warn({ ordinal, before: this.#last.ordinal }, 'only older floor messages come; believing them');
    }
    this.#outdated = 0;
    if (this.#last !== undefined && this.#last.checkpoints !== checkpoints) {
      const facts = { before: this.#last.checkpoints, now: checkpoints };
      this.#logger.warn(facts, 'a cloud processor with other checkpoints says how far it has come; believing it');
    }
    this.#last = { checkpoints, ordinal };
    this.#state = { ...this.#state, heard: this.#state.heard + 1, heardAt: epochMs(Date.now()) };
    return this.#onFloor(message, false);
  }

  state(): FloorListenerState {
    return this.#state;
  }

  #reject(why: string): void {
    if (this.#state.malformed === 0) this.#logger.warn({ why }, 'a floor message can not be used');
    this.#state = { ...this.#state, malformed: this.#state.malformed + 1, lastMalformed: why };
  }
}
