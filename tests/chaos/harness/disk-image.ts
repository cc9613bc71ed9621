import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import type { Resources } from '../../support/index.ts';

const run = promisify(execFile);
const COPIES_MAX = 50;
/** Of /sys/block, whatever the disk. */
const SECTOR_BYTES = 512;
const SECTORS_WRITTEN = 6;

/** Whether this process may mount file systems: it is root, and there are loop devices. */
export async function canMount(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  try {
    await run('losetup', ['--find']);
    await run('mkfs.ext4', ['-V']);
    return true;
  } catch {
    return false;
  }
}

/** An ext4 file system in a file, mounted through a loop device. What is in the file is what the disk would have after a power cut. */
export class DiskImage {
  /** Where it is mounted. */
  readonly directory: string;
  readonly #file: string;

  private constructor(file: string, directory: string) {
    this.#file = file;
    this.directory = directory;
  }

  static async create(resources: Resources, mebibytes: number): Promise<DiskImage> {
    const folder = await resources.directory();
    const image = new DiskImage(path.join(folder, 'image'), path.join(folder, 'disk'));
    await mkdir(image.directory);
    await run('truncate', ['--size', `${mebibytes}M`, image.#file]);
    await run('mkfs.ext4', ['-q', '-F', image.#file]);
    await image.#mount();
    resources.defer(async () => image.#unmount().catch(() => undefined));
    return image;
  }

  /**
   * Keeps what has reached the disk by now, while the file system is mounted and in use. Blocks may change while they are copied, and then
   * the copy is of no moment at all; so it is made until two in a row are equal.
   */
  async freeze(): Promise<void> {
    const [copy, other] = [`${this.#file}-copy`, `${this.#file}-other`];
    await this.#copyTo(copy);
    for (let attempt = 1; attempt < COPIES_MAX; attempt++) {
      await this.#copyTo(other);
      const isEqual = await run('cmp', ['--silent', copy, other]).then(
        () => true,
        () => false,
      );
      if (isEqual) {
        await rm(other);
        return;
      }
      await rename(other, copy);
    }
    throw new Error(`${this.#file} changed during each of ${COPIES_MAX} copies`);
  }

  /** Goes on from what {@link freeze} kept, as a machine does that starts after a power cut. Nothing may have a file open. */
  async powerCut(): Promise<void> {
    await this.#unmount();
    await rename(`${this.#file}-copy`, this.#file);
    // A machine that starts has nothing else to write.
    await run('sync', [this.#file]);
    await this.#mount();
  }

  /** Bytes that were written to the disk so far, with all that the file system does for itself. */
  async writtenBytes(): Promise<number> {
    const { stdout } = await run('losetup', ['--associated', this.#file, '--noheadings', '--output', 'NAME']);
    const statistics = await readFile(`/sys/block/${path.basename(stdout.trim())}/stat`, 'utf8');
    return SECTOR_BYTES * Number(statistics.trim().split(/\s+/)[SECTORS_WRITTEN]);
  }

  async #copyTo(file: string): Promise<void> {
    await run('cp', ['--sparse=always', this.#file, file]);
  }

  async #mount(): Promise<void> {
    await run('mount', ['-o', 'loop', this.#file, this.directory]);
  }

  async #unmount(): Promise<void> {
    await run('umount', [this.directory]);
  }
}

/** A file system in memory of this size. @returns its directory. */
export async function mountTmpfs(resources: Resources, mebibytes: number): Promise<string> {
  const directory = await resources.directory();
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'floorwatch-chaos', directory]);
  resources.defer(async () => run('umount', [directory]).catch(() => undefined));
  return directory;
}
