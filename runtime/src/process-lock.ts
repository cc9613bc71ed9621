import { createHash } from 'node:crypto';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { systemCodeOf } from './errors.ts';
import { makeFolder } from './make-folder.ts';

/** The name of the lock in its folder; there only while the lock is held, or after a holder was killed. */
export const PROCESS_LOCK_NAME = 'process.lock';
/** Two programs that find the same dead lock take it over within microseconds of each other; the loser sees it after this long. */
const TAKE_OVER_MS = 50;
/** A holder that does not tell its process id in this time is described without it. */
const ANSWER_MS_MAX = 1_000;
/** Socket addresses hold 107 bytes on Linux, 103 elsewhere. */
const ADDRESS_BYTES_MAX = 100;

/** Held until `release`, or until this process ends in any way. */
export interface ProcessLock {
  release(): Promise<void>;
}

/** The lock, or the process id of who has it; undefined if the holder did not say. It is a foreign one if the holder runs in a container. */
export type LockAttempt = { readonly lock: ProcessLock } | { readonly holder: number | undefined };

/**
 * Takes the lock of a folder, which at most one process holds, or says which process has it.
 *
 * The lock is a Unix socket in the folder that its holder listens on (on Windows a named pipe). The kernel closes it when the process
 * dies in any way, so none is ever left behind and none has to be judged by its age; and it holds between containers that share the
 * folder on one machine, where process ids would mislead.
 *
 * @param folder made if it is missing, for this user and its group only.
 * @throws the system's error if the folder can't be made or written.
 */
export async function takeProcessLock(folder: string): Promise<LockAttempt> {
  // What programs keep is nobody else's on this machine.
  await makeFolder(folder, 0o750);
  // Kept open as long as the lock is held: the address may lead through it.
  const opened = process.platform === 'win32' ? undefined : await open(folder, 'r');
  const address = lockAddress(folder, opened);
  try {
    const taken = (await listenOn(address)) ?? (await takeOver(address));
    if ('holder' in taken) {
      await opened?.close();
      return taken;
    }
    taken.unref();
    return {
      lock: {
        async release() {
          await new Promise<void>((resolve) => taken.close(() => resolve()));
          await opened?.close();
        },
      },
    };
  } catch (error) {
    await opened?.close();
    throw error;
  }
}

/**
 * Which process holds the lock of a folder; undefined if none does. Only asks, so that it may be called while programs start and stop.
 *
 * @returns `pid` undefined: somebody holds it and did not say who.
 * @throws the system's error if the folder can't be read, or its holder may not be asked.
 */
export async function findLockHolder(folder: string): Promise<{ readonly pid: number | undefined } | undefined> {
  let opened: FileHandle | undefined;
  try {
    opened = process.platform === 'win32' ? undefined : await open(folder, 'r');
    return await askHolder(lockAddress(folder, opened));
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  } finally {
    await opened?.close();
  }
}

function lockAddress(folder: string, opened: FileHandle | undefined): string {
  const socket = path.join(path.resolve(folder), PROCESS_LOCK_NAME);
  const short = `floorwatch-${createHash('sha256').update(socket).digest('hex').slice(0, 32)}`;
  if (opened === undefined) return `\\\\.\\pipe\\${short}`;
  if (Buffer.byteLength(socket) < ADDRESS_BYTES_MAX) return socket;
  // Linux lets a longer path be reached through the open folder.
  return process.platform === 'linux' ? `/proc/self/fd/${opened.fd}/${PROCESS_LOCK_NAME}` : path.join(tmpdir(), short);
}

/** Listens, or returns undefined if something is at the address already. */
async function listenOn(address: string): Promise<Server | undefined> {
  const server = createServer((connection) => connection.on('error', () => {}).end(String(process.pid)));
  return new Promise((resolve, reject) => {
    server.once('error', (error) => (systemCodeOf(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    server.listen(address, () => resolve(server));
  });
}

async function takeOver(address: string): Promise<Server | { readonly holder: number | undefined }> {
  const holder = await askHolder(address);
  if (holder !== undefined) return { holder: holder.pid };
  await rm(address, { force: true });
  const server = await listenOn(address);
  if (server === undefined) return { holder: (await askHolder(address))?.pid };
  const mine = await inode(address);
  await sleep(TAKE_OVER_MS);
  if (mine !== undefined && (await inode(address)) === mine) return server;
  // Closing would remove the other's socket from the folder; the end of this process removes nothing.
  server.unref();
  return { holder: (await askHolder(address))?.pid };
}

/** Who listens at the address, with the process id that they tell; undefined if nobody does. */
async function askHolder(address: string): Promise<{ readonly pid: number | undefined } | undefined> {
  return new Promise((resolve, reject) => {
    let text = '';
    const connection = createConnection(address);
    connection.setTimeout(ANSWER_MS_MAX, () => connection.destroy());
    connection.on('data', (part) => (text += part.toString()));
    connection.once('error', (error) => {
      const code = systemCodeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(undefined);
      // Too many ask at once, or it went away while it answered: somebody is there.
      else if (code === 'EAGAIN' || code === 'ECONNRESET' || code === 'EPIPE') resolve({ pid: undefined });
      else reject(error);
    });
    connection.once('close', () => resolve({ pid: /^\d+$/.test(text) ? Number(text) : undefined }));
  });
}

async function inode(address: string): Promise<number | undefined> {
  try {
    return (await stat(address)).ino;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
