/** Several batches that were sent one after another. */
interface Entry {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
  /** Stream sequence of the last of them; undefined: not known any more. */
  readonly seq: number | undefined;
}

/** From so many entries on, small batches share one up to this size, so that their number follows the bytes and not the batches. */
const ENTRIES_OWN_MAX = 1_000;
const ENTRY_BYTES_MAX = 64 * 1024;

/**
 * What was sent and is not committed, by position: how much it is, and where in the stream it stands. Entries follow one another
 * without holes, the oldest first.
 */
export class SentLedger {
  #entries: Entry[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** @param from is the position behind the last entry; where it is not, everything before is forgotten. */
  add(from: number, to: number, bytes: number, seq: number | undefined): void {
    const last = this.#entries.at(-1);
    if (last !== undefined && last.to + 1 !== from) this.clear();
    this.#bytes += bytes;
    const isShared = this.#entries.length >= ENTRIES_OWN_MAX && last?.seq !== undefined;
    if (isShared && last.to + 1 === from && last.bytes + bytes <= ENTRY_BYTES_MAX) {
      this.#entries[this.#entries.length - 1] = { from: last.from, to, bytes: last.bytes + bytes, seq };
    } else this.#entries.push({ from, to, bytes, seq });
  }

  /** Positions up to `through` are committed. */
  drop(through: number): void {
    const kept = this.#entries.findIndex(({ to }) => to > through);
    this.#entries.splice(0, kept === -1 ? this.#entries.length : kept);
    const [first] = this.#entries;
    if (first !== undefined && first.from <= through) {
      const share = (first.to - through) / (first.to - first.from + 1);
      this.#entries[0] = { ...first, from: through + 1, bytes: first.bytes * share };
    }
    this.#bytes = this.#entries.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The sequence behind which `position` has certainly been read; undefined: not known. */
  seqOf(position: number): number | undefined {
    // The oldest are asked for, so it is found at once.
    return this.#entries.find(({ from, to }) => from <= position && position <= to)?.seq;
  }

  /** The stream is another one: where things stand in it is not known any more, how much they are is. */
  forgetSequences(): void {
    const [first, last] = [this.#entries[0], this.#entries.at(-1)];
    if (first === undefined || last === undefined) return;
    this.#entries = [{ from: first.from, to: last.to, bytes: this.#bytes, seq: undefined }];
  }

  clear(): void {
    this.#entries = [];
    this.#bytes = 0;
  }
}
