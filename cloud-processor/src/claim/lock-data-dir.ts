import { messageOf, type ProcessLock, StartError, takeProcessLock } from '@floorwatch/runtime';

/** Locks the data folder, so that no second processor writes the same checkpoints. */
export async function lockDataDir(dataDir: string): Promise<ProcessLock> {
  const attempt = await takeProcessLock(dataDir).catch((error: unknown) => {
    const message = `dataDir: ${dataDir} can't be locked: ${messageOf(error)}; make it a folder that this user may write to`;
    throw new StartError('config-invalid', message, { cause: error });
  });
  if ('lock' in attempt) return attempt.lock;
  throw new StartError(
    'locked',
    `dataDir: ${dataDir} is in use by another processor (process ${attempt.holder ?? 'unknown'}); stop that one first, or give this one a folder of its own`,
  );
}
