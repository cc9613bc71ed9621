import { type FileHandle, mkdir, open, readdir, unlink } from 'node:fs/promises';
import path from 'node:path';

import { type ProcessLock, takeProcessLock } from '@floorwatch/runtime';

import { SegmentLogError } from './errors.ts';

/** An open file of the log. Tests put one in its place that tears, reorders and refuses. */
export interface LogFile {
  size(): Promise<number>;
  /** Whether the file still has a name: what is written to one without is lost when it is closed. */
  hasName(): Promise<boolean>;
  /** Writes all of `bytes` at `offset`. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** `length` bytes from `offset`, fewer at the end of the file. */
  read(offset: number, length: number): Promise<Buffer>;
  /** What was written is on the disk when this resolves. After it failed, nobody knows what is. */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** `create` makes the file and refuses one that exists; `change` and `read` open one that does. */
export type OpenMode = 'create' | 'change' | 'read';

/** What the log needs of a file system. */
export interface FileSystem {
  makeDirectory(directory: string): Promise<void>;
  /** Names in a directory, in any order. */
  list(directory: string): Promise<readonly string[]>;
  open(file: string, mode: OpenMode): Promise<LogFile>;
  remove(file: string): Promise<void>;
  /** Makes creations and removals in a directory durable. */
  syncDirectory(directory: string): Promise<void>;
  /**
   * Keeps other processes from opening the log.
   *
   * @throws SegmentLogError `locked` if another one has it.
   */
  lock(directory: string): Promise<ProcessLock>;
}

const FLAGS = { create: 'wx+', change: 'r+', read: 'r' } as const satisfies Record<OpenMode, string>;

/** The file system of the machine. */
export const nodeFileSystem: FileSystem = {
  makeDirectory: async (directory) => void (await mkdir(directory, { recursive: true })),
  list: async (directory) => readdir(directory),
  open: async (file, mode) => new NodeLogFile(await open(file, FLAGS[mode])),
  remove: async (file) => unlink(file),
  async syncDirectory(directory) {
    const handle = await open(path.resolve(directory), 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async lock(directory) {
    const attempt = await takeProcessLock(directory);
    if ('lock' in attempt) return attempt.lock;
    const who = attempt.holder === undefined ? 'another process' : `process ${attempt.holder}`;
    throw new SegmentLogError(
      'locked',
      `the log in ${directory} is in use by ${who}; stop that one first, or give this one a folder of its own`,
    );
  },
};

class NodeLogFile implements LogFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async hasName(): Promise<boolean> {
    return (await this.#handle.stat()).nlink > 0;
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, offset + done);
      done += bytesWritten;
    }
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.#handle.read(buffer, done, length - done, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return buffer.subarray(0, done);
  }

  async sync(): Promise<void> {
    await this.#handle.datasync();
  }

  async truncate(size: number): Promise<void> {
    await this.#handle.truncate(size);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
