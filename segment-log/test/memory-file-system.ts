import type { FileSystem, LogFile } from '../src/index.ts';

/** A change that the disk may or may not have got before a power cut. */
type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly size: number };

interface MemoryFile {
  /** What a reader sees. */
  seen: Buffer;
  /** What is on the disk for certain. */
  safe: Buffer;
  /** What lies between the two, in order. */
  changes: Change[];
}

/** How much of one change a power cut lets through. */
export type Survival = (change: Change, index: number, file: string) => Change | undefined;

/**
 * A file system that knows what is durable and what is not, and can be cut off the power: only synced contents survive, and of every
 * later change as much as the test decides. Operations fail when `fault` says so.
 */
export class MemoryFileSystem implements FileSystem {
  /** Names that readers see, and those that are durable. */
  readonly #files = new Map<string, MemoryFile>();
  #durableNames = new Map<string, MemoryFile>();
  /** Called before every operation; what it throws, the operation throws. */
  fault: (operation: 'create' | 'write' | 'sync' | 'truncate' | 'sync-directory', file: string) => void = () => {};
  syncs = 0;

  async makeDirectory(): Promise<void> {}

  async list(directory: string): Promise<readonly string[]> {
    return [...this.#files.keys()]
      .filter((name) => name.startsWith(`${directory}/`))
      .map((name) => name.slice(directory.length + 1));
  }

  async open(file: string, how: 'create' | 'existing'): Promise<LogFile> {
    if (how === 'create') {
      this.fault('create', file);
      if (this.#files.has(file)) throw Object.assign(new Error(`EEXIST: ${file}`), { code: 'EEXIST' });
      this.#files.set(file, { seen: Buffer.alloc(0), safe: Buffer.alloc(0), changes: [] });
    }
    const opened = this.#files.get(file);
    if (opened === undefined) throw Object.assign(new Error(`ENOENT: ${file}`), { code: 'ENOENT' });
    return {
      size: async () => opened.seen.length,
      write: async (bytes, offset) => {
        this.fault('write', file);
        const change = { kind: 'write' as const, offset, bytes: Buffer.from(bytes) };
        opened.changes.push(change);
        opened.seen = applied(opened.seen, change);
      },
      read: async (offset, length) => Buffer.from(opened.seen.subarray(offset, offset + length)),
      sync: async () => {
        this.fault('sync', file);
        this.syncs += 1;
        opened.safe = opened.seen;
        opened.changes = [];
      },
      truncate: async (size) => {
        this.fault('truncate', file);
        opened.changes.push({ kind: 'truncate', size });
        opened.seen = applied(opened.seen, { kind: 'truncate', size });
      },
      close: async () => {},
    };
  }

  async rename(from: string, to: string): Promise<void> {
    const file = this.#files.get(from);
    if (file === undefined) throw new Error(`ENOENT: ${from}`);
    this.#files.delete(from);
    this.#files.set(to, file);
  }

  async remove(file: string): Promise<void> {
    this.#files.delete(file);
  }

  async syncDirectory(directory: string): Promise<void> {
    this.fault('sync-directory', directory);
    this.#durableNames = new Map(this.#files);
  }

  /** The file system as another start finds it after a power cut. `survives` may change a change: tear it, or drop it. */
  afterPowerCut(survives: Survival): MemoryFileSystem {
    const next = new MemoryFileSystem();
    for (const [name, file] of this.#durableNames) {
      let bytes = file.safe;
      for (const [index, change] of file.changes.entries()) {
        const survived = survives(change, index, name);
        if (survived !== undefined) bytes = applied(bytes, survived);
      }
      next.put(name, bytes);
    }
    return next;
  }

  /** The file system as another start finds it after a kill: everything that was written is seen, and nothing more is durable. */
  afterKill(): MemoryFileSystem {
    const next = new MemoryFileSystem();
    for (const [name, file] of this.#files) next.put(name, file.seen);
    return next;
  }

  /** The bytes of a file, to look at or to damage. */
  bytes(name: string): Buffer {
    const file = this.#files.get(name);
    if (file === undefined) throw new Error(`there is no file ${name}`);
    return file.seen;
  }

  names(): string[] {
    return [...this.#files.keys()].sort();
  }

  put(name: string, bytes: Buffer): void {
    const file = { seen: Buffer.from(bytes), safe: Buffer.from(bytes), changes: [] };
    this.#files.set(name, file);
    this.#durableNames.set(name, file);
  }

  drop(name: string): void {
    this.#files.delete(name);
    this.#durableNames.delete(name);
  }
}

function applied(bytes: Buffer, change: Change): Buffer {
  if (change.kind === 'truncate') {
    const result = Buffer.alloc(change.size);
    bytes.copy(result);
    return result;
  }
  const result = Buffer.alloc(Math.max(bytes.length, change.offset + change.bytes.length));
  bytes.copy(result);
  change.bytes.copy(result, change.offset);
  return result;
}
