import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import path from 'node:path';

/** An open file of the log. Tests put one in its place that tears, reorders and refuses. */
export interface LogFile {
  size(): Promise<number>;
  /** Writes all of `bytes` at `offset`. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** `length` bytes from `offset`, fewer at the end of the file. */
  read(offset: number, length: number): Promise<Buffer>;
  /** What was written is on the disk when this resolves. After it failed, nobody knows what is. */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** What the log needs of a file system. */
export interface FileSystem {
  makeDirectory(directory: string): Promise<void>;
  /** Names in a directory, in any order. */
  list(directory: string): Promise<readonly string[]>;
  /** Opens for reading and writing; `create` makes the file and refuses one that exists. */
  open(file: string, how: 'create' | 'existing'): Promise<LogFile>;
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  /** Makes creations, renames and removals in a directory durable. */
  syncDirectory(directory: string): Promise<void>;
}

/** The file system of the machine. */
export const nodeFileSystem: FileSystem = {
  makeDirectory: async (directory) => void (await mkdir(directory, { recursive: true })),
  list: async (directory) => readdir(directory),
  open: async (file, how) => new NodeLogFile(await open(file, how === 'create' ? 'wx+' : 'r+')),
  rename: async (from, to) => rename(from, to),
  remove: async (file) => unlink(file),
  async syncDirectory(directory) {
    const handle = await open(path.resolve(directory), 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
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
