import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

import { systemCodeOf } from './errors.ts';

/**
 * Makes a folder and those above it that are missing.
 *
 * Node's own `recursive` never returns where the system answers "no such file" although the folder above is there, as `/proc` does.
 *
 * @param mode permissions of the folders that are made. Default: all that the umask of the process allows.
 * @throws the system's error if the folder can't be made, or something else has its name.
 */
export async function makeFolder(folder: string, mode?: number): Promise<void> {
  if (await isFolder(folder)) return;
  try {
    await mkdir(folder, mode);
  } catch (error) {
    const above = dirname(folder);
    if (systemCodeOf(error) === 'ENOENT' && above !== folder && !(await isFolder(above))) {
      await makeFolder(above, mode);
      return makeFolder(folder, mode);
    }
    // Another process may have made it meanwhile.
    if (!(await isFolder(folder))) throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
}
