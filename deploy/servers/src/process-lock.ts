import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve as absolute } from 'node:path';

/** A holder that does not tell its process id in this time is described without it. */
const ANSWER_MS_MAX = 1_000;

/** Held until `release`, or until this process ends in any way. */
export interface ProcessLock {
  release(): Promise<void>;
}

/**
 * Takes a lock that at most one process of this machine holds, or says which process has it.
 *
 * The lock is a listening local socket, not a file: the kernel lets go of it however its holder ends, so that no lock is ever left
 * behind and none has to be judged stale.
 *
 * @param path what it guards, such as a folder; need not exist.
 */
export async function takeProcessLock(
  path: string,
): Promise<{ readonly lock: ProcessLock } | { readonly holder: number | undefined }> {
  const address = lockAddress(path);
  for (let attempt = 1; ; attempt++) {
    const server = createServer((socket) => socket.on('error', () => {}).end(String(process.pid)));
    try {
      server.listen(address);
      await once(server, 'listening');
      server.unref();
      return {
        lock: {
          async release() {
            const closed = once(server, 'close');
            server.close();
            await closed;
          },
        },
      };
    } catch {
      const holder = await askHolder(address);
      if (holder.listens) return { holder: holder.pid };
      // Only a socket in the file system stays behind a dead holder; or the holder let go between the two steps.
      if (address.startsWith('/')) await rm(address, { force: true });
      if (attempt === 3) return { holder: undefined };
    }
  }
}

function lockAddress(path: string): string {
  const name = `floorwatch-${createHash('sha256').update(absolute(path)).digest('hex').slice(0, 32)}`;
  if (process.platform === 'linux') return `\0${name}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), name);
}

/** Whether somebody listens at the address, and the process id that they tell. */
function askHolder(address: string): Promise<{ readonly listens: boolean; readonly pid: number | undefined }> {
  return new Promise((resolve) => {
    let listens = false;
    let text = '';
    const socket = connect(address);
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy());
    socket.on('connect', () => (listens = true));
    socket.on('data', (part) => (text += part.toString()));
    socket.on('error', () => {});
    socket.on('close', () => resolve({ listens, pid: text === '' ? undefined : Number(text) }));
  });
}
