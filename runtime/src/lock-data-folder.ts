import { messageOf, StartError } from './errors.ts';
import { type ProcessLock, takeProcessLock } from './process-lock.ts';

/**
 * Takes the data folder of a program for this process alone, so that no second one writes the same files; makes it if it is missing.
 *
 * @param field the field of the configuration that names the folder, for people.
 * @param program what has it, such as `agent`.
 * @throws StartError `config-invalid` if it can't be locked, `locked` if another process has it.
 */
export async function lockDataFolder(folder: string, field: string, program: string): Promise<ProcessLock> {
  const attempt = await takeProcessLock(folder).catch((error: unknown) => {
    const message = `${field}: ${folder} can't be locked: ${messageOf(error)}; make it a folder that this user may write to`;
    throw new StartError('config-invalid', message, { cause: error });
  });
  if ('lock' in attempt) return attempt.lock;
  const who = attempt.holder === undefined ? `another ${program}` : `another ${program} (process ${attempt.holder})`;
  throw new StartError(
    'locked',
    `${field}: ${folder} is in use by ${who}; stop that one first, or give this one a folder of its own`,
  );
}
