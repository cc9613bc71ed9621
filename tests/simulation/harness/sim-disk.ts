import type { LogFile, OpenMode } from '@floorwatch/segment-log';

import type { AgentFileSystem } from '../../../edge-agent/src/storage.ts';
import { MemoryFileSystem } from '../../../segment-log/test/memory-file-system.ts';
import { never, type World } from './world.ts';

/** A gateway's disk: what is on it survives its processes, or as much of it as a power cut leaves. */
export class SimDisk {
  readonly #world: World;
  #files = new MemoryFileSystem();

  constructor(world: World, files?: MemoryFileSystem) {
    this.#world = world;
    if (files !== undefined) this.#files = files;
  }

  /** A process's view; there is one at a time. */
  mount(): DiskView {
    return new DiskView(this.#world, this.#files);
  }

  /** The process that had the view is gone. */
  afterKill(): void {
    this.#files = this.#files.afterKill();
  }

  /** The power failed: of what was not synced each write survives, is lost, or is torn. */
  afterPowerCut(): void {
    const world = this.#world;
    let namesLeft = world.int(0, 6);
    this.#files = this.#files.afterPowerCut(
      (change) => {
        if (world.chance(0.4)) return change;
        if (change.kind === 'truncate' || world.chance(0.5)) return undefined;
        return { ...change, bytes: change.bytes.subarray(0, world.int(0, Math.ceil(change.bytes.length / 512)) * 512) };
      },
      () => namesLeft-- > 0,
    );
  }

  /** A copy of everything on it, as an image of the card. */
  copy(): MemoryFileSystem {
    return this.#files.afterKill();
  }

  /** Puts an image on it. */
  restore(image: MemoryFileSystem): void {
    this.#files = image.afterKill();
  }
}

/** A file system that stops answering when its process is killed, which may happen at any operation. */
export class DiskView implements AgentFileSystem {
  readonly #world: World;
  readonly #files: MemoryFileSystem;
  #dead = false;
  #opsLeft = Infinity;
  #onCrash: () => void = () => undefined;

  constructor(world: World, files: MemoryFileSystem) {
    this.#world = world;
    this.#files = files;
  }

  /** The process dies at the operation after so many others. */
  crashAfter(operations: number, onCrash: () => void): void {
    this.#opsLeft = operations;
    this.#onCrash = onCrash;
  }

  /** Nothing that the process asks for happens any more. */
  fence(): void {
    this.#dead = true;
  }

  async #operation<T>(act: () => Promise<T>): Promise<T> {
    if (this.#dead) return never();
    if (this.#world.strikes('slow-disk', 0.02)) await this.#world.time.sleep(this.#world.int(1, 3_000));
    if (this.#dead) return never();
    if (this.#opsLeft-- > 0) {
      const result = await act();
      return this.#dead ? never() : result;
    }
    const happens = this.#world.chance(0.5);
    if (happens) await act();
    if (!this.#dead) this.#onCrash();
    return never();
  }

  async makeDirectory(): Promise<void> {
    return this.#operation(async () => this.#files.makeDirectory());
  }

  async lock(directory: string): Promise<{ release(): Promise<void> }> {
    return this.#operation(async () => this.#files.lock(directory));
  }

  async list(directory: string): Promise<readonly string[]> {
    return this.#operation(async () => this.#files.list(directory));
  }

  async remove(file: string): Promise<void> {
    return this.#operation(async () => this.#files.remove(file));
  }

  async rename(from: string, to: string): Promise<void> {
    return this.#operation(async () => this.#files.rename(from, to));
  }

  async syncDirectory(directory: string): Promise<void> {
    return this.#operation(async () => this.#files.syncDirectory(directory));
  }

  async open(file: string, mode: OpenMode): Promise<LogFile> {
    const opened = await this.#operation(async () => this.#files.open(file, mode));
    return {
      size: async () => this.#operation(async () => opened.size()),
      hasName: async () => this.#operation(async () => opened.hasName()),
      write: async (bytes, offset) => this.#operation(async () => opened.write(bytes, offset)),
      read: async (offset, length) => this.#operation(async () => opened.read(offset, length)),
      sync: async () => this.#operation(async () => opened.sync()),
      truncate: async (size) => this.#operation(async () => opened.truncate(size)),
      close: async () => this.#operation(async () => opened.close()),
    };
  }
}
