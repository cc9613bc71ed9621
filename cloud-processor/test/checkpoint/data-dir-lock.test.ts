import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { lockDataDir } from '../../src/checkpoint/data-dir-lock.ts';

const resources = resourcesPerTest();

/** A process that listens at the lock's place, as a processor does, and tells when it holds it. */
async function holder(folder: string): Promise<ReturnType<typeof fork>> {
  const script = path.join(folder, 'holder.cjs');
  await writeFile(
    script,
    "require('node:net').createServer((c) => c.destroy()).listen(process.argv[2], () => process.send('held'));",
  );
  const child = fork(script, ['processor.lock'], { cwd: folder });
  resources.defer(() => child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}

describe('lock on the data folder', () => {
  it('is held by one, and free again after release', async () => {
    const folder = path.join(await resources.directory(), 'made', 'for', 'it');
    const first = await lockDataDir(folder);
    await expect(lockDataDir(folder)).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`dataDir: ${folder} is in use by another processor`) as string,
    });
    await first.release();
    await (await lockDataDir(folder)).release();
  });

  it('of a living process is respected, of a killed one is taken over', async () => {
    const folder = await resources.directory();
    const other = await holder(folder);
    await expect(lockDataDir(folder)).rejects.toMatchObject({ code: 'locked' });
    other.kill('SIGKILL');
    await once(other, 'exit');
    await (await lockDataDir(folder)).release();
  });

  it('works in folders whose path is longer than a socket address may be', async () => {
    const folder = path.join(await resources.directory(), 'x'.repeat(120));
    const first = await lockDataDir(folder);
    await expect(lockDataDir(folder)).rejects.toMatchObject({ code: 'locked' });
    await first.release();
    await (await lockDataDir(folder)).release();
  });

  it('of several that start together after a crash, exactly one gets it', async () => {
    const folder = await resources.directory();
    const other = await holder(folder);
    other.kill('SIGKILL');
    await once(other, 'exit');
    const starts = await Promise.allSettled([lockDataDir(folder), lockDataDir(folder), lockDataDir(folder)]);
    const held = starts.filter((start) => start.status === 'fulfilled');
    expect(held).toHaveLength(1);
    for (const { value } of held) await value.release();
  });

  it('says which folder can not be made', async () => {
    const folder = await resources.directory();
    await mkdir(path.join(folder, 'a'));
    await writeFile(path.join(folder, 'a', 'file'), '');
    await expect(lockDataDir(path.join(folder, 'a', 'file'))).rejects.toMatchObject({ code: 'config-invalid' });
  });
});
