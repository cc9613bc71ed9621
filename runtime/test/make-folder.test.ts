import { existsSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { makeFolder } from '../src/make-folder.ts';

const resources = resourcesPerTest();

describe('makeFolder', () => {
  it('makes the folders above it as well, with the permissions that were asked for', async () => {
    const folder = join(await resources.directory(), 'a', 'b', 'c');
    await makeFolder(folder, 0o700);
    expect((await stat(join(folder, '..'))).mode & 0o777).toBe(0o700);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  it('leaves a folder that is there, and may run twice at once', async () => {
    const folder = join(await resources.directory(), 'a', 'b');
    await Promise.all([makeFolder(folder), makeFolder(folder)]);
    await makeFolder(folder);
    expect((await stat(folder)).isDirectory()).toBe(true);
  });

  it('fails where a file has its name, or the name of a folder above it', async () => {
    const file = join(await resources.directory(), 'file');
    await writeFile(file, '');
    await expect(makeFolder(file)).rejects.toThrow(/EEXIST/);
    await expect(makeFolder(join(file, 'below'))).rejects.toThrow(/ENOTDIR/);
  });

  it.skipIf(!existsSync('/proc/self'))('fails where the system makes no folders (skipped without /proc)', async () => {
    await expect(makeFolder('/proc/none/below')).rejects.toThrow(/ENOENT/);
  });
});
