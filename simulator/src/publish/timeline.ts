import { type EpochMs, epochMs } from '@floorwatch/contracts';

/** Which event times are published: the source's own, or the moments at which readings are due. */
export type EventTimes = 'source' | 'now';

/**
 * Lays the time of a recording or of a simulated floor over the clock: what lies `d` behind the origin there is due `d / speed`
 * behind the start here. With an infinite speed everything is due at once.
 */
export class Timeline {
  readonly #origin: EpochMs;
  readonly #start: EpochMs;
  readonly #speed: number;
  readonly #times: EventTimes;

  /**
   * @param origin the source's time that is due at `start`.
   * @param start the clock's time of the beginning.
   * @param speed how many times faster than the clock the source's time passes; Infinity: as fast as readings are taken.
   */
  constructor(origin: EpochMs, start: EpochMs, speed: number, times: EventTimes) {
    this.#origin = origin;
    this.#start = start;
    this.#speed = speed;
    this.#times = times;
  }

  /** False: readings are never due later than at once. */
  get paced(): boolean {
    return this.#speed !== Infinity;
  }

  /** When a reading of the source's time `at` is to be published. */
  dueAt(at: EpochMs): EpochMs {
    return this.#speed === Infinity
      ? this.#start
      : epochMs(this.#start + Math.floor((at - this.#origin) / this.#speed));
  }

  /** The event time of a reading of the source's time `at` that is published at `now`. */
  eventTimeOf(at: EpochMs, now: EpochMs): EpochMs {
    if (this.#times === 'source') return at;
    return this.#speed === Infinity ? now : this.dueAt(at);
  }
}
