import { Condition } from '@floorwatch/runtime';

import type { FloorCut } from './floor-messages.ts';

/**
 * Which checkpoint floors may be told of: the older of the two that are kept. What a gateway has deleted because of a floor can't be asked
 * for again, so the floor must still be known when the newest checkpoint turns out to be damaged.
 */
export class SafeFloors {
  /** {@link older} has changed. */
  readonly moved = new Condition();
  #newest: FloorCut | undefined;
  #older: FloorCut | undefined;

  /** @param loaded the checkpoint that the start found, if any. */
  constructor(loaded?: FloorCut) {
    this.#newest = loaded;
  }

  /** `cut` is of a checkpoint that is safe now; the one before it is kept beside it. */
  saved(cut: FloorCut): void {
    this.#older = this.#newest;
    this.#newest = cut;
    this.moved.notify();
  }

  /** What may be told; undefined until two checkpoints are safe. */
  get older(): FloorCut | undefined {
    return this.#older;
  }

  /** Whether one more checkpoint would tell more, also if nothing has changed since the last. */
  get isBehind(): boolean {
    if (this.#newest === undefined) return false;
    const [older, newest] = [this.#older, this.#newest];
    return older?.cursor !== newest.cursor;
  }
}
