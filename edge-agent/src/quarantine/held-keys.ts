import type { Sender } from '../ingest/message-identity.ts';

/** Readings of one key. */
interface Held {
  /** How many there are. */
  held: number;
  /** Who sent or repeated one last, and how many of them are not repeated by it any more. */
  by: Sender | undefined;
  own: number;
}

/**
 * The keys of the readings in quarantine, by which repeats are recognised. Equal readings are several: a connection can repeat each of those
 * that came before it once, and of many only the last ones, which its device may not have been answered.
 */
export class HeldKeys {
  readonly #keys = new Map<number, Held>();
  readonly #inFlightMax: number;

  /** @param inFlightMax how many equal readings a device may have unanswered. */
  constructor(inFlightMax: number) {
    this.#inFlightMax = inFlightMax;
  }

  /** A reading is in quarantine. @param sender undefined: nobody knows by which connection it came. */
  add(key: number, sender: Sender | undefined): void {
    const known = this.#keys.get(key);
    if (known === undefined) {
      this.#keys.set(key, { held: 1, by: sender, own: 1 });
      return;
    }
    this.#turnTo(known, sender);
    known.held += 1;
    known.own += 1;
  }

  /** A reading is not there any more. */
  remove(key: number): void {
    const known = this.#keys.get(key);
    if (known === undefined) return;
    known.held -= 1;
    known.own = Math.min(known.own, known.held);
    if (known.held === 0) this.#keys.delete(key);
  }

  /** Whether a reading that came is a repeat of one that is there. @param sender as for {@link add}; then of any. */
  claim(key: number, sender: Sender | undefined): boolean {
    const known = this.#keys.get(key);
    if (known === undefined) return false;
    if (sender === undefined) return true;
    this.#turnTo(known, sender);
    if (known.own >= known.held) return false;
    known.own += 1;
    return true;
  }

  #turnTo(known: Held, sender: Sender | undefined): void {
    if (known.by === sender) return;
    known.by = sender;
    known.own = Math.max(0, known.held - this.#inFlightMax);
  }
}
