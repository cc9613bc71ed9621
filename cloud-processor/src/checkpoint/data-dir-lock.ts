import { mkdir, open, rm, stat } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { messageOf, StartError, systemCodeOf } from '@floorwatch/runtime';

const NAME = 'processor.lock';

/** Two programs that find the same dead lock take it over within microseconds of each other; the loser sees it after this long. */
const TAKE_OVER_MS = 50;

/** A held lock on a folder. */
export interface DataDirLock {
  release(): Promise<void>;
}

/**
 * Locks `dataDir` for this process, so that no second processor writes the same checkpoints.
 *
 * The lock is a Unix socket in the folder that this process listens on. The kernel closes it when the process dies in any way, so a
 * restart after a crash finds it dead and takes it over, and it holds between containers that share the folder on one machine, where
 * process numbers would mislead.
 *
 * @throws StartError if another process holds it, or if the folder can't be written.
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  try {
    await mkdir(dataDir, { recursive: true });
  } catch (error) {
    throw new StartError('config-invalid', `dataDir: ${dataDir} can't be made: ${messageOf(error)}`, { cause: error });
  }
  const folder = await open(dataDir, 'r');
  const socket = path.join(dataDir, NAME);
  // Socket addresses hold 107 bytes. Linux lets a longer path be reached through the open folder.
  const address = Buffer.byteLength(socket) < 100 ? socket : `/proc/self/fd/${folder.fd}/${NAME}`;
  try {
    const server = (await listenOn(address)) ?? (await takeOver(address, dataDir));
    server.unref();
    return {
      async release() {
        await new Promise<void>((resolve) => server.close(() => resolve()));
        await folder.close();
      },
    };
  } catch (error) {
    await folder.close();
    if (error instanceof StartError) throw error;
    throw new StartError('config-invalid', `dataDir: ${dataDir} can't be locked: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Listens, or returns undefined if something is at the address already. */
async function listenOn(address: string): Promise<Server | undefined> {
  const server = createServer((connection) => connection.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error) => (systemCodeOf(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    server.listen(address, () => resolve(server));
  });
}

async function takeOver(address: string, dataDir: string): Promise<Server> {
  if (await isAlive(address)) throw locked(dataDir);
  await rm(address, { force: true });
  const server = await listenOn(address);
  if (server === undefined) throw locked(dataDir);
  const mine = await inode(address);
  await sleep(TAKE_OVER_MS);
  if (mine !== undefined && (await inode(address)) === mine) return server;
  // Closing would remove the other's socket from the folder; the end of this process removes nothing.
  server.unref();
  throw locked(dataDir);
}

async function isAlive(address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(address);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', (error) => {
      const code = systemCodeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      else if (code === 'EAGAIN') resolve(true);
      else reject(error);
    });
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

const locked = (dataDir: string): StartError =>
  new StartError(
    'locked',
    `dataDir: ${dataDir} is in use by another processor; stop that one first, or give this one a folder of its own`,
  );
