import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** A process that listens at a port. */
export interface PortHolder {
  readonly pid: number;
  /** What the system calls it, such as `mosquitto`. Never its command line, which may hold secrets. */
  readonly name: string;
}

/** State of a socket that listens, in `/proc/net/tcp`. */
const LISTENING = '0A';

/**
 * Which process listens at a TCP port of this machine, as far as `/proc` tells: everything to root, one's own processes to others.
 *
 * @returns undefined if it does not.
 */
export async function findPortHolder(port: number, proc: string): Promise<PortHolder | undefined> {
  const tables = await Promise.all(['net/tcp', 'net/tcp6'].map(async (name) => textOf(join(proc, name))));
  const inodes = new Set(tables.flatMap((table) => listeningInodes(table, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of await readdir(proc).catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    const descriptors = join(proc, pid, 'fd');
    for (const descriptor of await readdir(descriptors).catch(() => [])) {
      const target = await readlink(join(descriptors, descriptor)).catch(() => '');
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      return { pid: Number(pid), name: (await textOf(join(proc, pid, 'comm'))).trim() };
    }
  }
  return undefined;
}

/** Inodes of the sockets that listen at `port`: columns `local_address`, `st` and `inode` of the table. */
function listeningInodes(table: string, port: number): string[] {
  return table.split('\n').flatMap((line) => {
    const columns = line.trim().split(/\s+/);
    const [, address = '', , state] = columns;
    const isIt = state === LISTENING && Number.parseInt(address.split(':')[1] ?? '', 16) === port;
    return isIt && columns[9] !== undefined ? [columns[9]] : [];
  });
}

const textOf = async (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
