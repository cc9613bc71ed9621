import { fork } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { findLockHolder, type ProcessLock, takeProcessLock } from '../src/index.ts';

const resources = resourcesPerTest();

async function taken(folder: string): Promise<ProcessLock> {
  const attempt = await takeProcessLock(folder);
  if (!('lock' in attempt)) throw new Error(`held by ${attempt.holder}`);
  return attempt.lock;
}

/** Another process that listens at the lock's place, as a holder does. */
async function holder(folder: string): Promise<ReturnType<typeof fork>> {
  const script = path.join(folder, 'holder.cjs');
  await writeFile(
    script,
    "require('node:net').createServer((c) => c.end(String(process.pid))).listen('process.lock', () => process.send('held'));",
  );
  const child = fork(script, [], { cwd: folder });
  resources.defer(() => child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}

describe('process lock', () => {
  it('is held by one, whose process id the others learn, and free again after release', async () => {
    const folder = path.join(await resources.directory(), 'made', 'for', 'it');
    expect(await findLockHolder(folder)).toBeUndefined();
    const first = await taken(folder);
    expect(await findLockHolder(folder)).toEqual({ pid: process.pid });
    expect(await takeProcessLock(folder)).toEqual({ holder: process.pid });
    expect(await takeProcessLock(`${folder}/.`)).toEqual({ holder: process.pid });
    await first.release();
    expect(await findLockHolder(folder)).toBeUndefined();
    await (await taken(folder)).release();
  });

  it('of a living process is respected, of a killed one is taken over', async () => {
    const folder = await resources.directory();
    const other = await holder(folder);
    expect(await takeProcessLock(folder)).toEqual({ holder: other.pid });
    other.kill('SIGKILL');
    await once(other, 'exit');
    await (await taken(folder)).release();
  });

  it('works in folders whose path is longer than a socket address may be', async () => {
    const folder = path.join(await resources.directory(), 'x'.repeat(120));
    const first = await taken(folder);
    expect(await takeProcessLock(folder)).toEqual({ holder: process.pid });
    await first.release();
    await (await taken(folder)).release();
  });

  it('of several that start together after a crash, exactly one gets it', async () => {
    const folder = await resources.directory();
    const other = await holder(folder);
    other.kill('SIGKILL');
    await once(other, 'exit');
    const attempts = await Promise.all([takeProcessLock(folder), takeProcessLock(folder), takeProcessLock(folder)]);
    const locks = attempts.flatMap((attempt) => ('lock' in attempt ? [attempt.lock] : []));
    expect(locks).toHaveLength(1);
    for (const lock of locks) await lock.release();
  });

  it('makes folders that nobody else on the machine may look into', async () => {
    const folder = path.join(await resources.directory(), 'data');
    const lock = await taken(folder);
    resources.defer(() => lock.release());
    expect((await stat(folder)).mode & 0o007).toBe(0);
  });

  it('fails with the reason of the system where no folder can be made', async () => {
    const folder = await resources.directory();
    await writeFile(path.join(folder, 'file'), '');
    await expect(takeProcessLock(path.join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' });
  });
});
