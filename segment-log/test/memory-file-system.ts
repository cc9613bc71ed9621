import path from 'node:path';

import { type FileSystem, type LogFile, type OpenMode, SegmentLogError } from '../src/index.ts';

/** A change that the disk may or may not have got before a power cut. */
export type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly size: number };

/** Contents are never changed in place, so file systems that were made from one another share them. */
interface MemoryFile {
  /** What a reader sees. */
  seen: Buffer;
  /** What is on the disk for certain. */
  safe: Buffer;
  /** What lies between the two, in order. */
  changes: readonly Change[];
}

/** How much of one change a power cut lets through. */
export type Survival = (change: Change, index: number, file: string) => Change | undefined;

export type Operation = 'create' | 'write' | 'sync' | 'truncate' | 'remove' | 'sync-directory' | 'read';

/**
 * A file system that knows what is durable and what is not, and can be cut off the power: only synced contents survive, and of every
 * later change as much as the test decides. Operations fail when `fault` says so.
 */
export class MemoryFileSystem implements FileSystem {
  /** Names as readers see them, and those that are durable. */
  readonly #files = new Map<string, MemoryFile>();
  #durable = new Map<string, MemoryFile>();
  /** Names that came or went since their directory was synced, in order. */
  #nameChanges: string[] = [];
  readonly #locks = new Set<string>();
  /** Called before every operation; what it throws, the operation throws. */
  fault: (operation: Operation, file: string) => void = () => {};
  /** A disk that says it has synced, and has not. */
  lies = false;
  syncs = 0;

  async makeDirectory(): Promise<void> {}

  async lock(directory: string): Promise<{ release(): Promise<void> }> {
    if (this.#locks.has(directory)) throw new SegmentLogError('locked', `${directory} is in use`);
    this.#locks.add(directory);
    return { release: async () => void this.#locks.delete(directory) };
  }

  async list(directory: string): Promise<readonly string[]> {
    return this.names()
      .filter((name) => path.dirname(name) === directory)
      .map((name) => path.basename(name));
  }

  async open(file: string, mode: OpenMode): Promise<LogFile> {
    if (mode === 'create') {
      this.fault('create', file);
      if (this.#files.has(file)) throw Object.assign(new Error(`EEXIST: ${file}`), { code: 'EEXIST' });
      this.#files.set(file, { seen: Buffer.alloc(0), safe: Buffer.alloc(0), changes: [] });
      this.#nameChanges.push(file);
    }
    const opened = this.#files.get(file);
    if (opened === undefined) throw Object.assign(new Error(`ENOENT: ${file}`), { code: 'ENOENT' });
    const apply = (change: Change): void => {
      opened.changes = [...opened.changes, change];
      opened.seen = applied(opened.seen, change);
    };
    return {
      size: async () => opened.seen.length,
      hasName: async () => this.#files.get(file) === opened,
      write: async (bytes, offset) => {
        this.fault('write', file);
        apply({ kind: 'write', offset, bytes: Buffer.from(bytes) });
      },
      read: async (offset, length) => {
        this.fault('read', file);
        return Buffer.from(opened.seen.subarray(offset, offset + length));
      },
      sync: async () => {
        this.fault('sync', file);
        this.syncs += 1;
        if (this.lies) return;
        opened.safe = opened.seen;
        opened.changes = [];
      },
      truncate: async (size) => {
        this.fault('truncate', file);
        apply({ kind: 'truncate', size });
      },
      close: async () => {},
    };
  }

  async remove(file: string): Promise<void> {
    this.fault('remove', file);
    if (!this.#files.delete(file)) throw Object.assign(new Error(`ENOENT: ${file}`), { code: 'ENOENT' });
    this.#nameChanges.push(file);
  }

  /** Gives a file another name; a file that has it is gone. */
  async rename(from: string, to: string): Promise<void> {
    this.fault('create', to);
    const file = this.#files.get(from);
    if (file === undefined) throw Object.assign(new Error(`ENOENT: ${from}`), { code: 'ENOENT' });
    this.#files.delete(from);
    this.#files.set(to, file);
    // The new name first: one that survives alone leaves the file under both, never under none.
    this.#nameChanges.push(to, from);
  }

  async syncDirectory(directory: string): Promise<void> {
    this.fault('sync-directory', directory);
    for (const name of this.#nameChanges.filter((changed) => path.dirname(changed) === directory)) this.#settle(name);
    this.#nameChanges = this.#nameChanges.filter((changed) => path.dirname(changed) !== directory);
  }

  #settle(name: string): void {
    const file = this.#files.get(name);
    if (file === undefined) this.#durable.delete(name);
    else this.#durable.set(name, file);
  }

  /**
   * The file system as another start finds it after a power cut. `survives` may change a change: tear it, or drop it; `nameSurvives` says
   * whether a file that came or went without its directory being synced did so on the disk.
   */
  afterPowerCut(survives: Survival, nameSurvives: (name: string) => boolean = () => false): MemoryFileSystem {
    const next = new MemoryFileSystem();
    const names = new Map(this.#durable);
    for (const name of this.#nameChanges) {
      if (!nameSurvives(name)) continue;
      const file = this.#files.get(name);
      if (file === undefined) names.delete(name);
      else names.set(name, file);
    }
    for (const [name, file] of names) {
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
    const copies = new Map([...this.#files.values(), ...this.#durable.values()].map((file) => [file, { ...file }]));
    for (const [name, file] of this.#files) next.#files.set(name, copies.get(file)!);
    for (const [name, file] of this.#durable) next.#durable.set(name, copies.get(file)!);
    next.#nameChanges = [...this.#nameChanges];
    return next;
  }

  /** The bytes of a file as they are now. */
  bytes(name: string): Buffer {
    const file = this.#files.get(name);
    if (file === undefined) throw new Error(`there is no file ${name}`);
    return file.seen;
  }

  names(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** Puts a file on the disk, or other contents into one. */
  put(name: string, bytes: Buffer): void {
    const file = { seen: bytes, safe: bytes, changes: [] };
    this.#files.set(name, file);
    this.#durable.set(name, file);
  }

  /** Flips one bit of a file. */
  flip(name: string, offset: number, bit = 0): void {
    const bytes = Buffer.from(this.bytes(name));
    bytes.writeUInt8(bytes.readUInt8(offset) ^ (1 << bit), offset);
    this.put(name, bytes);
  }

  drop(name: string): void {
    this.#files.delete(name);
    this.#durable.delete(name);
  }
}

/** The bytes of each file lie at the beginning of such a block, which may have room behind them. */
const frontiers = new WeakMap<ArrayBufferLike, number>();

/** A copy with room, so that what is appended next need not copy everything again. */
function withRoom(bytes: Buffer, size: number): Buffer {
  const block = Buffer.alloc(Math.max(size, 2 * bytes.length));
  bytes.copy(block);
  frontiers.set(block.buffer, size);
  return block.subarray(0, size);
}

function applied(bytes: Buffer, change: Change): Buffer {
  if (change.kind === 'truncate') return withRoom(bytes.subarray(0, change.size), change.size);
  const end = change.offset + change.bytes.length;
  const { buffer, byteOffset } = bytes;
  // Nobody sees what lies behind the end, unless somebody has appended there already.
  if (change.offset === bytes.length && frontiers.get(buffer) === bytes.length && end <= buffer.byteLength) {
    frontiers.set(buffer, end);
    const result = Buffer.from(buffer, byteOffset, end);
    change.bytes.copy(result, change.offset);
    return result;
  }
  const result = withRoom(bytes, Math.max(bytes.length, end));
  change.bytes.copy(result, change.offset);
  return result;
}
