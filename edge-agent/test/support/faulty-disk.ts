import { rename } from 'node:fs/promises';

import { type LogFile, nodeFileSystem } from '@floorwatch/segment-log';

import type { AgentFileSystem } from '../../src/storage.ts';

export type DiskOperation = 'create' | 'write' | 'sync';

/** The machine's disk, with operations that fail or wait when `fault` says so: before they do anything. */
export class FaultyDisk {
  /** Called before every operation; what it throws, the operation throws, and it waits for what it returns. */
  fault: (operation: DiskOperation, file: string) => void | Promise<void> = () => undefined;

  readonly fileSystem: AgentFileSystem = {
    ...nodeFileSystem,
    rename,
    open: async (path, mode) => {
      if (mode === 'create') await this.fault('create', path);
      return this.#faulty(await nodeFileSystem.open(path, mode), path);
    },
  };

  #faulty(file: LogFile, path: string): LogFile {
    return {
      size: async () => file.size(),
      hasName: async () => file.hasName(),
      write: async (bytes, offset) => {
        await this.fault('write', path);
        await file.write(bytes, offset);
      },
      read: async (offset, length) => file.read(offset, length),
      sync: async () => {
        await this.fault('sync', path);
        await file.sync();
      },
      truncate: async (size) => file.truncate(size),
      close: async () => file.close(),
    };
  }

  /** From now on an operation fails with a system error code, on files whose path holds `part`; returns what ends that. */
  fail(operation: DiskOperation, code: string, part: string): () => void {
    this.fault = (now, file) => {
      if (now === operation && file.includes(part)) throw Object.assign(new Error(`${code}: ${file}`), { code });
    };
    return () => (this.fault = () => undefined);
  }

  /** From now on an operation waits, on files whose path holds `part`; returns what ends that. */
  hold(operation: DiskOperation, part: string): () => void {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    this.fault = async (now, file) => {
      if (now === operation && file.includes(part)) await released;
    };
    return () => {
      this.fault = () => undefined;
      release();
    };
  }
}
