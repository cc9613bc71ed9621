import path from 'node:path';

import type { Predecessor } from '@floorwatch/contracts';
import { type FileSystem, type PositionRange, SlotFile, type SlotFileOptions } from '@floorwatch/segment-log';

import { coarsened, type DroppedFrame, withFrames } from './dropped-frames.ts';
import { EpochTable } from './epoch-table.ts';

const SLOT_BYTES = 160 * 1024;

/** Frames that are described one by one or together. More than all reasons why two of them can't be joined. */
const FRAMES_MAX = 1_000;

/** Epochs that a lane remembers: what a slot has room for beside the frames. */
export const EPOCHS_MAX = 700;

/**
 * What a lane knows beside its log: its epochs, and what was in the frames that were dropped. Kept in a file of fixed size beside the log
 * (docs/segment-log-format.md), so that it can be written when the disk is full.
 */
export class LaneTable {
  readonly #content: Content;
  readonly #file: SlotFile;
  #stale = false;

  private constructor(content: Content, file: SlotFile) {
    this.#content = content;
    this.#file = file;
  }

  /** Opens the file or makes it. `found` is false if there was none, or it can't be read. */
  static async open(
    fileSystem: FileSystem,
    directory: string,
  ): Promise<{ readonly table: LaneTable; readonly found: boolean }> {
    const content: Content = { epochs: new EpochTable(), dropped: [], told: 1 };
    const options: SlotFileOptions = {
      fileSystem,
      path: path.join(directory, 'epochs'),
      magic: 'FLWLANE1',
      slotBytes: SLOT_BYTES,
    };
    const { file, text } = await SlotFile.open(options, () => encode(content));
    if (text !== undefined) Object.assign(content, decode(text));
    return { table: new LaneTable(content, file), found: text !== undefined };
  }

  get epochs(): EpochTable {
    return this.#content.epochs;
  }

  /** Puts epochs in the place of those that are there. */
  replaceEpochs(epochs: EpochTable): void {
    this.#content.epochs = epochs;
    this.#stale = true;
  }

  /** The file no longer says what is so: it has to be saved before anything is built on it. */
  invalidate(): void {
    this.#stale = true;
  }

  /** Whether it has to be saved before anything is appended. */
  get stale(): boolean {
    return this.#stale;
  }

  /** @throws SegmentLogError if what is there now is not safe; it {@link stale} until it is. */
  async save(): Promise<void> {
    this.#stale = true;
    await this.#file.save();
    this.#stale = false;
  }

  /** What is known of the dropped items of a range, frame by frame; frames that reach beyond it are cut. */
  droppedIn({ from, to }: PositionRange): readonly DroppedFrame[] {
    return this.#content.dropped
      .filter((frame) => frame.to >= from && frame.from <= to)
      .map(({ readings, anomalies, eventTimes, ...frame }) => {
        const range = { from: Math.max(frame.from, from), to: Math.min(frame.to, to) };
        return Object.assign(range, { readings, anomalies, eventTimes });
      });
  }

  /** Describes what is about to be dropped, and forgets descriptions of what `isDropped` denies. */
  describe(range: PositionRange, frames: readonly DroppedFrame[], isDropped: (position: number) => boolean): void {
    const kept = this.#content.dropped.filter(({ to }) => isDropped(to));
    const starts = new Set(this.epochs.entries.map(({ first }) => first));
    this.#content.dropped = coarsened(
      withFrames(kept, range, frames),
      FRAMES_MAX,
      (position) => starts.has(position) || position === this.#content.told,
    );
  }

  /** `through`, or where it would part what is described together: the position before that. */
  unparted(through: number): number {
    const frame = this.#content.dropped.find(({ from, to }) => from <= through && through < to);
    return frame === undefined ? through : frame.from - 1;
  }

  /** Descriptions of positions up to `through` are not needed any more. */
  forgetThrough(through: number): void {
    if ((this.#content.dropped[0]?.from ?? Infinity) <= through)
      this.#content.dropped = this.#content.dropped.filter(({ to }) => to > through);
  }

  /**
   * A gap that ends at `through` goes to the processor: frames before and behind its end are never joined, so that they can be told apart
   * if the processor asks for what follows.
   */
  async tell(through: number): Promise<void> {
    if (through < this.#content.told) return;
    this.#content.told = through + 1;
    await this.save();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

interface Content {
  epochs: EpochTable;
  /** In order of positions. */
  dropped: readonly DroppedFrame[];
  /** Position behind the last gap that was told. */
  told: number;
}

interface Text {
  readonly predecessor: Predecessor;
  readonly epochs: readonly (readonly [epoch: string, first: number])[];
  readonly dropped: readonly (readonly [number, number, number, number, number | null, number | null])[];
  readonly told: number;
}

function encode({ epochs, dropped, told }: Content): string {
  const text: Text = {
    predecessor: epochs.predecessor,
    epochs: epochs.entries.map(({ epoch, first }) => [epoch, first]),
    dropped: dropped.map(({ from, to, readings, anomalies, eventTimes }) => [
      from,
      to,
      readings,
      anomalies,
      eventTimes?.from ?? null,
      eventTimes?.to ?? null,
    ]),
    told,
  };
  return JSON.stringify(text);
}

function decode(text: string): Content {
  const { predecessor, epochs, dropped, told } = JSON.parse(text) as Text;
  return {
    epochs: new EpochTable(
      epochs.map(([epoch, first]) => ({ epoch, first })),
      predecessor,
    ),
    dropped: dropped.map(([from, to, readings, anomalies, earliest, latest]) => ({
      from,
      to,
      readings,
      anomalies,
      eventTimes: earliest === null || latest === null ? null : { from: earliest, to: latest },
    })),
    told,
  };
}
