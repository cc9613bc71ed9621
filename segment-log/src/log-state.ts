import path from 'node:path';

import { SegmentLogError } from './errors.ts';
import type { FileSystem } from './file-system.ts';
import { limits } from './limits.ts';
import type { PositionRange } from './position-ranges.ts';
import { SlotFile, type SlotFileOptions } from './slot-file.ts';

/** What a log knows beside its segments. */
export interface StateContent {
  /** Positions before it are not needed any more. */
  trimmed: number;
  /** Segments that begin at this position or before it may have been sent. */
  sent: number;
  /** The next position is this one or a later one. */
  next: number;
  /** Positions that were dropped to make room and lie behind `trimmed`; in order. */
  dropped: readonly PositionRange[];
  /** Positions that were never given to an item and lie behind `trimmed`; in order. */
  skipped: readonly PositionRange[];
  readonly cursors: Map<string, number>;
}

const fileOptions = (fileSystem: FileSystem, directory: string): SlotFileOptions => ({
  fileSystem,
  path: path.join(directory, 'state'),
  magic: 'FLWSTAT1',
  slotBytes: 16 * 1024,
});

/** The state file. It is never larger than at first, so that on a disk that is full readers can still move on, which is what makes room. */
export class LogState {
  readonly content: StateContent;
  readonly #file: SlotFile;

  private constructor(content: StateContent, file: SlotFile) {
    this.content = content;
    this.#file = file;
  }

  /** Opens the file or makes it. `found` is false if there was none, or none of its slots is whole. */
  static async open(
    fileSystem: FileSystem,
    directory: string,
  ): Promise<{ readonly state: LogState; readonly found: boolean }> {
    const content = { trimmed: 1, sent: 0, next: 1, dropped: [], skipped: [], cursors: new Map<string, number>() };
    const { file, text } = await SlotFile.open(fileOptions(fileSystem, directory), () => encode(content));
    if (text !== undefined) Object.assign(content, decode(text));
    return { state: new LogState(content, file), found: text !== undefined };
  }

  /** Reads without changing anything; undefined as `found` in {@link open}. */
  static async read(fileSystem: FileSystem, directory: string): Promise<StateContent | undefined> {
    const text = await SlotFile.read(fileOptions(fileSystem, directory));
    return text === undefined ? undefined : decode(text);
  }

  /** Resolves when the content as it is now is on the disk. Calls that come during a write share the next one. */
  async save(): Promise<void> {
    await this.#file.save();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

type Pairs = readonly (readonly [number, number])[];

interface StateText extends Readonly<Record<'trimmed' | 'sent' | 'next', number>> {
  readonly dropped: Pairs;
  /** Not in the files of the first release. */
  readonly skipped?: Pairs;
  readonly cursors: Readonly<Record<string, number>>;
}

function encode({ trimmed, sent, next, dropped, skipped, cursors }: StateContent): string {
  const text: StateText = {
    trimmed,
    sent,
    next,
    dropped: pairs(dropped),
    skipped: pairs(skipped),
    cursors: Object.fromEntries(cursors),
  };
  return JSON.stringify(text);
}

function decode(text: string): StateContent {
  const { trimmed, sent, next, dropped, skipped = [], cursors } = JSON.parse(text) as StateText;
  const content = { dropped: ranges(dropped), skipped: ranges(skipped), cursors: new Map(Object.entries(cursors)) };
  return { trimmed, sent, next, ...content };
}

const pairs = (list: readonly PositionRange[]): Pairs => list.map(({ from, to }) => [from, to] as const);
const ranges = (list: Pairs): PositionRange[] => list.map(([from, to]) => ({ from, to }));

const CURSOR_NAME = /^[a-z0-9][a-z0-9-]*$/;

/** @throws SegmentLogError if a log can't keep a cursor of this name at this position. */
export function checkCursor(cursors: ReadonlyMap<string, number>, name: string, position: number): void {
  if (!CURSOR_NAME.test(name) || name.length > limits.cursorNameLengthMax) {
    throw new SegmentLogError(
      'format',
      `cursor ${JSON.stringify(name)}: use up to ${limits.cursorNameLengthMax} of a–z, 0–9 and "-"`,
    );
  }
  if (!Number.isSafeInteger(position) || position < 1) {
    throw new SegmentLogError('format', `cursor ${name}: ${position} is no position; those count from 1`);
  }
  if (!cursors.has(name) && cursors.size >= limits.cursorsMax) {
    throw new SegmentLogError('format', `cursor ${name}: a log keeps ${limits.cursorsMax} cursors; forget one first`);
  }
}
