import path from 'node:path';
import { crc32 } from 'node:zlib';

import { isMissing, SegmentLogError, translated } from './errors.ts';
import type { FileSystem, LogFile } from './file-system.ts';
import { limits } from './limits.ts';
import type { PositionRange } from './position-ranges.ts';

const STATE_NAME = 'state';
/** Bytes of one of the two slots. */
const SLOT_BYTES = 16 * 1024;
const SLOT_HEADER_BYTES = 24;
const MAGIC = Buffer.from('FLWSTAT1', 'latin1');

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
  readonly cursors: Map<string, number>;
}

const fresh = (): StateContent => ({ trimmed: 1, sent: 0, next: 1, dropped: [], cursors: new Map() });

interface Loaded {
  readonly content: StateContent;
  readonly sequence: number;
}

/**
 * The state file: two slots that are written in turn, so that a write that is cut off leaves the other one whole. The file never grows,
 * so that on a disk that is full readers can still move on, which is what makes room.
 */
export class LogState {
  readonly content: StateContent;
  readonly #file: LogFile;
  readonly #path: string;
  #sequence: number;
  #writing: Promise<void> | undefined;
  #following: Promise<void> | undefined;

  private constructor(file: LogFile, filePath: string, loaded: Loaded) {
    this.#file = file;
    this.#path = filePath;
    this.content = loaded.content;
    this.#sequence = loaded.sequence;
  }

  /** Opens the file or makes it. `found` is false if there was none, or none of its slots is whole. */
  static async open(
    fileSystem: FileSystem,
    directory: string,
  ): Promise<{ readonly state: LogState; readonly found: boolean }> {
    const filePath = path.join(directory, STATE_NAME);
    const file = await openOrCreate(fileSystem, directory, filePath);
    try {
      const loaded = decodeSlots(await file.read(0, 2 * SLOT_BYTES), filePath);
      const state = new LogState(file, filePath, loaded ?? { content: fresh(), sequence: 0 });
      return { state, found: loaded !== undefined };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Reads without changing anything; undefined as `found` in {@link open}. */
  static async read(fileSystem: FileSystem, directory: string): Promise<StateContent | undefined> {
    const filePath = path.join(directory, STATE_NAME);
    let file: LogFile;
    try {
      file = await fileSystem.open(filePath, 'read');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      return decodeSlots(await file.read(0, 2 * SLOT_BYTES), filePath)?.content;
    } finally {
      await file.close();
    }
  }

  /** Resolves when the content as it is now is on the disk. Calls that come during a write share the next one. */
  async save(): Promise<void> {
    this.#following ??= this.#writeAfter(this.#writing);
    return this.#following;
  }

  async #writeAfter(before: Promise<void> | undefined): Promise<void> {
    await before?.catch(() => {});
    this.#following = undefined;
    this.#writing = this.#write();
    return this.#writing;
  }

  async #write(): Promise<void> {
    const sequence = this.#sequence + 1;
    try {
      await this.#file.write(encodeSlot(this.content, sequence), (sequence % 2) * SLOT_BYTES);
      await this.#file.sync();
    } catch (error) {
      // The sequence stays, so that the next attempt goes to the same slot: the other one holds what is known to be safe.
      throw translated(error, 'sync-failed', this.#path);
    }
    this.#sequence = sequence;
  }

  async close(): Promise<void> {
    await this.#following?.catch(() => {});
    await this.#writing?.catch(() => {});
    await this.#file.close();
  }
}

async function openOrCreate(fileSystem: FileSystem, directory: string, filePath: string): Promise<LogFile> {
  try {
    return await fileSystem.open(filePath, 'change');
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const file = await fileSystem.open(filePath, 'create');
  try {
    // The whole size at once: later writes need no room.
    await file.write(Buffer.alloc(2 * SLOT_BYTES), 0);
    await file.sync();
    await fileSystem.syncDirectory(directory);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function encodeSlot(content: StateContent, sequence: number): Buffer {
  const { trimmed, sent, next, dropped } = content;
  const ranges = dropped.map(({ from, to }) => [from, to]);
  const body = Buffer.from(
    JSON.stringify({ trimmed, sent, next, dropped: ranges, cursors: Object.fromEntries(content.cursors) }),
  );
  const slot = Buffer.alloc(SLOT_HEADER_BYTES + body.length);
  MAGIC.copy(slot);
  slot.writeBigUInt64LE(BigInt(sequence), 8);
  slot.writeUInt32LE(body.length, 16);
  body.copy(slot, SLOT_HEADER_BYTES);
  slot.writeUInt32LE(slotCrc(slot), 20);
  if (slot.length > SLOT_BYTES) throw new Error(`the state of the log takes ${slot.length} bytes`);
  return slot;
}

const slotCrc = (slot: Buffer): number => crc32(slot.subarray(SLOT_HEADER_BYTES), crc32(slot.subarray(0, 20)));

/** The newer whole slot. */
function decodeSlots(bytes: Buffer, filePath: string): Loaded | undefined {
  const slots = [0, SLOT_BYTES].flatMap((start) => decodeSlot(bytes.subarray(start, start + SLOT_BYTES), filePath));
  return slots.sort((a, b) => b.sequence - a.sequence)[0];
}

function decodeSlot(bytes: Buffer, filePath: string): Loaded[] {
  if (bytes.length < SLOT_HEADER_BYTES) return [];
  const end = SLOT_HEADER_BYTES + bytes.readUInt32LE(16);
  if (end > bytes.length || slotCrc(bytes.subarray(0, end)) !== bytes.readUInt32LE(20)) return [];
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new SegmentLogError('format', `${filePath}: was written by a newer release; start that one`);
  }
  const body = JSON.parse(bytes.toString('utf8', SLOT_HEADER_BYTES, end)) as {
    readonly [key in 'trimmed' | 'sent' | 'next']: number;
  } & { readonly dropped: readonly (readonly [number, number])[]; readonly cursors: Readonly<Record<string, number>> };
  const content = {
    trimmed: body.trimmed,
    sent: body.sent,
    next: body.next,
    dropped: body.dropped.map(([from, to]) => ({ from, to })),
    cursors: new Map(Object.entries(body.cursors)),
  };
  return [{ content, sequence: Number(bytes.readBigUInt64LE(8)) }];
}

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
