import path from 'node:path';
import { crc32 } from 'node:zlib';

import { isMissing, SegmentLogError, translated } from './errors.ts';
import type { FileSystem, LogFile } from './file-system.ts';

/** Bytes before the text of a slot (docs/segment-log-format.md). */
const HEADER_BYTES = 24;
/** The part of the magic that every version of a format has. */
const FAMILY_BYTES = 7;

export interface SlotFileOptions {
  readonly fileSystem: FileSystem;
  /** The file; its directory is there. */
  readonly path: string;
  /** Eight characters that say what the file holds; the last one is the version of its format. */
  readonly magic: string;
  /** Bytes of one of the two slots. */
  readonly slotBytes: number;
}

interface Slot {
  readonly text: string;
  readonly sequence: number;
}

/**
 * A text in a file of two slots that are written in turn, so that a write that is cut off leaves the other one whole. The file never
 * grows after it was made, so that it can be written on a disk that is full.
 */
export class SlotFile {
  readonly #file: LogFile;
  readonly #options: SlotFileOptions;
  readonly #encode: () => string;
  #sequence: number;
  #writing: Promise<void> | undefined;
  #following: Promise<void> | undefined;

  private constructor(file: LogFile, options: SlotFileOptions, encode: () => string, sequence: number) {
    this.#file = file;
    this.#options = options;
    this.#encode = encode;
    this.#sequence = sequence;
  }

  /**
   * Opens the file or makes it, and syncs what it found: a kill can leave a text that looks safe and is not.
   *
   * @param encode gives the text to save as of now: at most {@link SlotFile.textBytesMax} bytes of UTF-8.
   * @returns `text` is undefined if there was no file, or none of its slots is whole.
   * @throws SegmentLogError `format` if a newer release wrote it, else what the disk could not do.
   */
  static async open(
    options: SlotFileOptions,
    encode: () => string,
  ): Promise<{ readonly file: SlotFile; readonly text: string | undefined }> {
    const file = await openWhole(options);
    try {
      const slot = newest(await file.read(0, 2 * options.slotBytes), options);
      if (slot !== undefined) await file.sync();
      return { file: new SlotFile(file, options, encode, slot?.sequence ?? 0), text: slot?.text };
    } catch (error) {
      await file.close().catch(() => {});
      throw translated(error, 'sync-failed', options.path);
    }
  }

  /** The text, without changing anything; undefined as in {@link open}. */
  static async read(options: SlotFileOptions): Promise<string | undefined> {
    let file: LogFile;
    try {
      file = await options.fileSystem.open(options.path, 'read');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    try {
      return newest(await file.read(0, 2 * options.slotBytes), options)?.text;
    } finally {
      await file.close();
    }
  }

  /** Bytes of a text that a slot of `slotBytes` takes. */
  static textBytesMax(slotBytes: number): number {
    return slotBytes - HEADER_BYTES;
  }

  /**
   * Resolves when the text as it is now is on the disk. Calls that come during a write share the next one.
   *
   * @throws SegmentLogError `sync-failed` or `disk-full`: the text from before or the new one is there.
   */
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
    const { path: file, slotBytes } = this.#options;
    const sequence = this.#sequence + 1;
    const slot = encodeSlot(this.#options, this.#encode(), sequence);
    if (slot.length > slotBytes) throw new Error(`${file}: ${slot.length} bytes do not fit a slot of ${slotBytes}`);
    try {
      await this.#file.write(slot, (sequence % 2) * slotBytes);
      await this.#file.sync();
    } catch (error) {
      // The sequence stays, so that the next attempt goes to the same slot: the other one holds what is known to be safe.
      throw translated(error, 'sync-failed', file);
    }
    this.#sequence = sequence;
  }

  async close(): Promise<void> {
    await this.#following?.catch(() => {});
    await this.#writing?.catch(() => {});
    await this.#file.close();
  }
}

/** The file at its whole size, so that later writes need no room; a start may have been cut off while it was made. */
async function openWhole({ fileSystem, path: filePath, slotBytes }: SlotFileOptions): Promise<LogFile> {
  let file: LogFile;
  try {
    file = await fileSystem.open(filePath, 'change');
  } catch (error) {
    if (!isMissing(error)) throw error;
    file = await fileSystem.open(filePath, 'create');
  }
  try {
    const size = await file.size();
    if (size < 2 * slotBytes) {
      await file.write(Buffer.alloc(2 * slotBytes - size), size);
      await file.sync();
      await fileSystem.syncDirectory(path.dirname(filePath));
    }
    return file;
  } catch (error) {
    await file.close().catch(() => {});
    throw translated(error, 'sync-failed', filePath);
  }
}

function encodeSlot({ magic }: SlotFileOptions, text: string, sequence: number): Buffer {
  const body = Buffer.from(text);
  const slot = Buffer.alloc(HEADER_BYTES + body.length);
  slot.write(magic, 'latin1');
  slot.writeBigUInt64LE(BigInt(sequence), 8);
  slot.writeUInt32LE(body.length, 16);
  body.copy(slot, HEADER_BYTES);
  slot.writeUInt32LE(slotCrc(slot), 20);
  return slot;
}

const slotCrc = (slot: Buffer): number => crc32(slot.subarray(HEADER_BYTES), crc32(slot.subarray(0, 20)));

/** The newer whole slot. */
function newest(bytes: Buffer, options: SlotFileOptions): Slot | undefined {
  const slots = [0, options.slotBytes].flatMap((start) =>
    decodeSlot(bytes.subarray(start, start + options.slotBytes), options),
  );
  return slots.sort((a, b) => b.sequence - a.sequence)[0];
}

function decodeSlot(bytes: Buffer, { magic, path: filePath }: SlotFileOptions): Slot[] {
  if (bytes.length < HEADER_BYTES) return [];
  const end = HEADER_BYTES + bytes.readUInt32LE(16);
  if (end > bytes.length || slotCrc(bytes.subarray(0, end)) !== bytes.readUInt32LE(20)) return [];
  const found = bytes.toString('latin1', 0, magic.length);
  if (found !== magic) {
    const isNewer = found.slice(0, FAMILY_BYTES) === magic.slice(0, FAMILY_BYTES);
    const remedy = isNewer
      ? 'was written by a newer release; start that one'
      : 'is another program’s file; move it away';
    throw new SegmentLogError('format', `${filePath}: ${remedy}`);
  }
  return [{ text: bytes.toString('utf8', HEADER_BYTES, end), sequence: Number(bytes.readBigUInt64LE(8)) }];
}
