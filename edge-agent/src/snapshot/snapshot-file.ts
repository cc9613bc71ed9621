import { rename } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { crc32 } from 'node:zlib';

import { systemCodeOf } from '@floorwatch/runtime';
import { type FileSystem, type LogFile, nodeFileSystem } from '@floorwatch/segment-log';

import type { CapturedSection, StateSection } from '../state-section.ts';
import { decodeSnapshot } from './decode-snapshot.ts';
import { encodeSnapshot } from './encode-snapshot.ts';
import { encodePreamble, PREAMBLE_BYTES } from './format.ts';
import { SnapshotFileError, translated } from './snapshot-file-error.ts';

const NEWEST = 'snapshot';
const PREVIOUS = 'snapshot.previous';
/** A snapshot that is being written, or was when the process died. */
const UNFINISHED = 'snapshot.new';

/** A file above this is none of ours: a hundred thousand sensors have 300 MB. */
const FILE_BYTES_MAX = 2 ** 30;

/** What snapshots need of a file system. */
export interface SnapshotFileSystem extends Pick<FileSystem, 'open' | 'remove' | 'syncDirectory'> {
  /** Gives the file another name in one step; a file that has it is gone. */
  rename(from: string, to: string): Promise<void>;
}

const machine: SnapshotFileSystem = { ...nodeFileSystem, rename };

export interface LoadedSnapshot {
  /** What `save` was given. */
  readonly header: unknown;
  readonly sections: readonly StateSection[];
  readonly bytes: number;
}

/**
 * The snapshot of the agent's state in its data folder, and the one before it: docs/agent-snapshot-format.md says what is in the file.
 *
 * A crash at any moment leaves the newest snapshot whose `save` has resolved, or a later one. The one before it is kept for the case that
 * the disk loses what it had promised to keep; so the journal is best trimmed only behind that one.
 */
export class SnapshotFile {
  readonly #directory: string;
  readonly #fileSystem: SnapshotFileSystem;
  /** The newest one can't be used, and must not take the place of the one before it. */
  #newestDamaged = false;

  /** @param directory exists; no other process writes it. */
  constructor(directory: string, fileSystem: SnapshotFileSystem = machine) {
    this.#directory = directory;
    this.#fileSystem = fileSystem;
  }

  /**
   * Resolves when the snapshot is on the disk, with its size in bytes. Lets others work after every quarter of a mebibyte. To be called
   * again only after it has settled.
   *
   * @param header JSON.
   * @throws SnapshotFileError `disk-full` or `write-failed`: the newest snapshot is the one that it was.
   */
  async save(header: unknown, sections: readonly CapturedSection[]): Promise<number> {
    const unfinished = this.#path(UNFINISHED);
    try {
      await this.#removeIfThere(unfinished);
      const bytes = await this.#write(unfinished, encodeSnapshot(header, sections));
      if (!this.#newestDamaged) await this.#renameIfThere(this.#path(NEWEST), this.#path(PREVIOUS));
      await this.#fileSystem.rename(unfinished, this.#path(NEWEST));
      this.#newestDamaged = false;
      await this.#fileSystem.syncDirectory(this.#directory);
      return bytes;
    } catch (error) {
      // A full disk gets back what was begun.
      await this.#removeIfThere(unfinished).catch(() => {});
      throw translated(error, 'write-failed', this.#path(NEWEST));
    }
  }

  async #write(file: string, chunks: Iterable<Uint8Array>): Promise<number> {
    const handle = await this.#fileSystem.open(file, 'create');
    try {
      let offset = PREAMBLE_BYTES;
      let crc = 0;
      for (const chunk of chunks) {
        if (chunk.length === 0) {
          await setImmediate();
          continue;
        }
        crc = crc32(chunk, crc);
        await handle.write(chunk, offset);
        offset += chunk.length;
      }
      // Last, so that a file that was cut off does not begin like a whole one.
      await handle.write(encodePreamble(offset, crc), 0);
      await handle.sync();
      return offset;
    } finally {
      await handle.close();
    }
  }

  /**
   * The newest snapshot that is whole. To be called once, before the first `save`.
   *
   * @param order `oldest-first`: rather the one before it, behind which the journal is whole too; not before a `save`.
   * @returns without `snapshot` if there is none. `problems` says in a sentence each what is wrong with those that can't be used: if there are
   *   any, the snapshot is an older one, and what the journal held behind it may have been trimmed.
   * @throws SnapshotFileError `format` if a newer release wrote one; `read-failed`.
   */
  async load(
    order: 'newest-first' | 'oldest-first' = 'newest-first',
  ): Promise<{ readonly snapshot?: LoadedSnapshot; readonly problems: readonly string[] }> {
    const problems: string[] = [];
    for (const name of order === 'newest-first' ? [NEWEST, PREVIOUS] : [PREVIOUS, NEWEST]) {
      const file = this.#path(name);
      const content = await this.#read(file);
      if (content === undefined) continue;
      const decoded =
        typeof content === 'string' ? { fault: 'damaged' as const, why: content } : decodeSnapshot(content);
      if (decoded.fault === undefined) {
        const { header, sections } = decoded;
        return { snapshot: { header, sections, bytes: content.length }, problems };
      }
      if (decoded.fault === 'newer') {
        throw new SnapshotFileError(
          'format',
          `${file}: ${decoded.why}; start that release again, or move the file away to begin without what it holds`,
        );
      }
      if (name === NEWEST) this.#newestDamaged = true;
      problems.push(`${file} can't be used: ${decoded.why}`);
    }
    return { problems };
  }

  /** The file; undefined if it is not there, and words if it is too large to be read. */
  async #read(file: string): Promise<Buffer | string | undefined> {
    let handle: LogFile;
    try {
      handle = await this.#fileSystem.open(file, 'read');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw translated(error, 'read-failed', file);
    }
    try {
      const size = await handle.size();
      return size > FILE_BYTES_MAX ? `it has ${size} bytes, which no snapshot has` : await handle.read(0, size);
    } catch (error) {
      throw translated(error, 'read-failed', file);
    } finally {
      await handle.close();
    }
  }

  async #removeIfThere(file: string): Promise<void> {
    try {
      await this.#fileSystem.remove(file);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async #renameIfThere(from: string, to: string): Promise<void> {
    try {
      await this.#fileSystem.rename(from, to);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  #path(name: string): string {
    return path.join(this.#directory, name);
  }
}

const isMissing = (error: unknown): boolean => systemCodeOf(error) === 'ENOENT';
