import { randomBytes } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '@floorwatch/runtime';

const FILE = 'processor-id';

/** The name of a data folder: 32 random hexadecimal digits that stay in it. To be called by the one who holds the folder's lock. */
export async function folderId(dataDir: string): Promise<string> {
  const file = path.join(dataDir, FILE);
  try {
    const id = (await readFile(file, 'utf8')).trim();
    if (/^[0-9a-f]{32}$/.test(id)) return id;
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
  const id = randomBytes(16).toString('hex');
  const temporary = await open(`${file}.new`, 'w');
  try {
    await temporary.writeFile(`${id}\n`);
    await temporary.sync();
  } finally {
    await temporary.close();
  }
  await rename(`${file}.new`, file);
  return id;
}
