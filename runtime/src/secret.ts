import { readFile } from 'node:fs/promises';

import { messageOf, StartError } from './errors.ts';

/**
 * Reads a secret from a file, or else from an environment variable. Secrets have no field of their own in a configuration file and
 * no argument on the command line, where others could read them.
 *
 * @param what what it is for, such as `API token`; used in messages, which never hold the secret itself.
 * @param file path of a file that holds nothing else; white space around it is ignored.
 * @param variable name of the environment variable.
 * @returns undefined if neither is given.
 * @throws StartError if the file can't be read or is empty.
 */
export async function readSecret(
  what: string,
  file: string | undefined,
  variable: string,
): Promise<string | undefined> {
  if (file === undefined) {
    const value = process.env[variable];
    return value === undefined || value === '' ? undefined : value;
  }
  let text: string;
  try {
    text = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new StartError('secret-missing', `${what}: file ${file} can't be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (text === '')
    throw new StartError('secret-missing', `${what}: file ${file} is empty; put the secret there, or set ${variable}`);
  return text;
}
