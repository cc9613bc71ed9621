import { type FileHandle, link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';

import { messageOf, systemCodeOf } from '@floorwatch/runtime';

import { CheckpointError, type CheckpointState, decodeCheckpoint, encodeCheckpoint } from './format.ts';

/** Bytes gathered before they go to the file; each write lets the rest of the program run. */
const WRITE_BYTES = 256 * 1024;

/** What was found at the start. `fallback`: the newest checkpoint was damaged, `problem` says how, and the one before it was used. */
export type LoadedCheckpoint =
  | { readonly kind: 'none' }
  | { readonly kind: 'newest'; readonly state: CheckpointState }
  | { readonly kind: 'fallback'; readonly state: CheckpointState; readonly problem: string };

/**
 * The checkpoints of one partition: `partition-NN.ndjson` and the one before it, `partition-NN.previous.ndjson`. A damaged one that
 * was found at a start stays as `partition-NN.damaged.ndjson`.
 *
 * Saving is atomic: the file is complete and fsynced before it takes its name, and so is the folder's entry before `save` returns. A
 * crash at any moment leaves the old checkpoint or the new one.
 */
export class CheckpointFile {
  readonly path: string;
  readonly #previous: string;
  readonly #temporary: string;
  readonly #damaged: string;
  readonly #folder: string;
  readonly #partition: number;
  readonly #codeVersion: string;

  constructor(dataDir: string, partition: number, codeVersion: string) {
    const name = `partition-${String(partition).padStart(2, '0')}`;
    this.#folder = dataDir;
    this.path = path.join(dataDir, `${name}.ndjson`);
    this.#previous = path.join(dataDir, `${name}.previous.ndjson`);
    this.#temporary = path.join(dataDir, `${name}.new.ndjson`);
    this.#damaged = path.join(dataDir, `${name}.damaged.ndjson`);
    this.#partition = partition;
    this.#codeVersion = codeVersion;
  }

  /**
   * Reads the newest checkpoint, or the one before it if that is damaged; the damaged one is put aside, so that it never takes the place
   * of the one before.
   *
   * @throws CheckpointError if neither can be used although one exists.
   */
  async load(): Promise<LoadedCheckpoint> {
    let problem: CheckpointError | undefined;
    for (const file of [this.path, this.#previous]) {
      try {
        const text = await readFile(file);
        const state = this.#decode(text);
        if (problem === undefined) return { kind: 'newest', state };
        await rename(this.path, this.#damaged);
        await syncFolder(this.#folder);
        return { kind: 'fallback', state, problem: problem.message };
      } catch (error) {
        if (systemCodeOf(error) === 'ENOENT') continue;
        const code = error instanceof CheckpointError ? error.code : 'damaged';
        const found = new CheckpointError(code, `${file}: ${messageOf(error)}`, { cause: error });
        // It must not fall back past what another release has written.
        if (code === 'foreign') throw found;
        problem ??= found;
      }
    }
    if (problem !== undefined) throw problem;
    return { kind: 'none' };
  }

  #decode(bytes: Buffer): CheckpointState {
    const end = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
    const body = bytes.subarray(0, end);
    const trailer = trailerOf(body);
    if (!bytes.subarray(end).equals(Buffer.from(trailer))) {
      throw new CheckpointError('damaged', `its checksum is wrong (${bytes.length} bytes)`);
    }
    const state = decodeCheckpoint(body.toString().split('\n').slice(0, -1));
    if (state.partition !== this.#partition) {
      throw new CheckpointError('damaged', `it belongs to partition ${state.partition}`);
    }
    return state;
  }

  /** Saves a checkpoint and returns its size in bytes. Not to be called again before it has returned. */
  async save(state: CheckpointState): Promise<number> {
    await mkdir(this.#folder, { recursive: true });
    const file = await open(this.#temporary, 'w');
    let bytes: number;
    try {
      bytes = await writePieces(file, encodeCheckpoint(state, this.#codeVersion));
      await file.sync();
    } finally {
      await file.close();
    }
    // Each keeps its name until the very moment another takes it, so that there always are two.
    const second = `${this.#previous}.new`;
    await rm(second, { force: true });
    try {
      await link(this.path, second);
      await rename(second, this.#previous);
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
    }
    await rename(this.#temporary, this.path);
    await syncFolder(this.#folder);
    return bytes;
  }
}

async function writePieces(file: FileHandle, pieces: Iterable<string>): Promise<number> {
  let crc = 0;
  let bytes = 0;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  const flush = async (): Promise<void> => {
    await file.writev(pending);
    bytes += pendingBytes;
    pending = [];
    pendingBytes = 0;
  };
  const add = (piece: string): Buffer => {
    const encoded = Buffer.from(piece);
    pending.push(encoded);
    pendingBytes += encoded.length;
    return encoded;
  };
  for (const piece of pieces) {
    crc = crc32(add(piece), crc);
    if (pendingBytes >= WRITE_BYTES) await flush();
  }
  add(trailer(crc));
  await flush();
  return bytes;
}

const trailer = (crc: number): string => `${JSON.stringify({ kind: 'end', crc32: crc })}\n`;
const trailerOf = (body: Uint8Array): string => trailer(crc32(body));

/** Makes renames in the folder survive a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
