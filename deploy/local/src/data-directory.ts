import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  makeFolder,
  messageOf,
  PROCESS_LOCK_NAME,
  type ProcessLock,
  StartError,
  takeProcessLock,
} from '@floorwatch/runtime';

/** Marks a folder as ours: only such a folder is ever emptied. */
const MARKER = 'floorwatch-data.txt';

const MARKER_TEXT =
  'Data, configuration and logs of floorwatch (npm start). "npm start -- --fresh" deletes everything in this folder.\n';

/** The folder in which a local floor keeps everything, while this process owns it. */
export interface DataDirectory {
  readonly path: string;
  /** Whether an earlier run left data. */
  readonly hasData: boolean;
  release(): Promise<void>;
}

/**
 * Takes the folder for this process alone; makes it if it is missing.
 *
 * @param fresh deletes what earlier runs left in it.
 * @throws StartError if another process runs there, or if it holds files that are not ours.
 */
export async function openDataDirectory(path: string, fresh: boolean): Promise<DataDirectory> {
  const taken = await takeProcessLock(path).catch((error: unknown) => {
    throw new StartError('usage', `--data: ${path} can't be used: ${messageOf(error)}`, { cause: error });
  });
  if (!('lock' in taken)) {
    const holder = taken.holder === undefined ? 'another process' : `process ${taken.holder}`;
    throw new StartError(
      'locked',
      `--data: a floor runs in ${path} already (${holder}); stop it with Ctrl-C, or choose another folder with --data`,
    );
  }
  try {
    return { path, hasData: await prepare(path, fresh), release: () => taken.lock.release() };
  } catch (error) {
    await releaseQuietly(taken.lock);
    throw error;
  }
}

async function prepare(path: string, fresh: boolean): Promise<boolean> {
  try {
    await makeFolder(path);
    const names = (await readdir(path)).filter((name) => name !== PROCESS_LOCK_NAME);
    const isOurs = names.includes(MARKER);
    if (names.length > 0 && !isOurs) {
      throw new StartError(
        'usage',
        `--data: ${path} holds files that are not floorwatch's; choose an empty folder or one that does not exist`,
      );
    }
    if (fresh) for (const name of names) await rm(join(path, name), { recursive: true, force: true });
    await writeFile(join(path, MARKER), MARKER_TEXT);
    for (const folder of ['config', 'logs']) await makeFolder(join(path, folder));
    return isOurs && !fresh;
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError('usage', `--data: ${path} can't be used: ${messageOf(error)}`, { cause: error });
  }
}

async function releaseQuietly(lock: ProcessLock): Promise<void> {
  await lock.release().catch(() => {});
}
