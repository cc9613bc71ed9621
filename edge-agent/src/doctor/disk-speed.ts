import { randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';

const WRITES = 12;
/** A block of most file systems, and about what the agent commits at once. */
const WRITE_BYTES = 4_096;

/** How long the disk takes to keep a small write, in milliseconds. */
export interface DiskSpeed {
  readonly medianMs: number;
  readonly worstMs: number;
}

/**
 * Writes a small file in a folder, syncing after each of a dozen writes, and removes it.
 *
 * @throws the system's error if the folder can't be written, or the disk does not keep what is written.
 */
export async function measureDisk(folder: string, signal: AbortSignal): Promise<DiskSpeed> {
  const path = join(folder, `.doctor-${randomUUID()}`);
  const file = await open(path, 'wx', 0o600);
  try {
    const times: number[] = [];
    const block = Buffer.alloc(WRITE_BYTES, 1);
    for (let count = 0; count < WRITES && !signal.aborted; count++) {
      const begun = performance.now();
      await file.write(block, 0, block.length, count * WRITE_BYTES);
      await file.datasync();
      times.push(performance.now() - begun);
    }
    times.sort((a, b) => a - b);
    return { medianMs: times[Math.floor(times.length / 2)] ?? 0, worstMs: times.at(-1) ?? 0 };
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
