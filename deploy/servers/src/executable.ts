import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';

import { lastLine, runCommand } from './run-command.ts';
import type { FoundServer, ServerProgram } from './server-program.ts';

/** A large program on a slow card may take this long to load and tell its version. */
const VERSION_MS_MAX = 30_000;

/** Where Debian installs servers; not on the PATH of everyone. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/usr/local/bin', '/usr/bin'];

/**
 * Every executable of this name in the folders of PATH and those where systems install servers, in their order.
 *
 * @param systemFolders false looks at PATH alone.
 */
export async function onPath(
  names: readonly string[],
  environment: NodeJS.ProcessEnv,
  systemFolders: boolean,
): Promise<string[]> {
  const folders = (environment['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  if (systemFolders) folders.push(...SYSTEM_FOLDERS);
  const found = new Set<string>();
  for (const name of names) {
    for (const folder of folders) {
      const path = resolve(join(folder, name));
      if (await isExecutable(path)) found.add(path);
    }
  }
  return [...found];
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** Asks an executable for its version; a sentence says why it can't be used. */
export async function checkExecutable(
  program: ServerProgram,
  path: string,
  how: string,
  environment: NodeJS.ProcessEnv,
): Promise<FoundServer | { readonly problem: string }> {
  if (!(await isExecutable(path))) return { problem: `${path} is not an executable file` };
  const { code, output } = await runCommand(path, program.versionArguments, {
    environment,
    timeoutMs: VERSION_MS_MAX,
  });
  const version = program.versionPattern.exec(output)?.[1];
  if (code !== 0 || version === undefined) {
    const ending = code === undefined ? 'did not end by itself' : `ended with ${code}`;
    return { problem: `${path} ${program.versionArguments.join(' ')} ${ending} and said "${lastLine(output)}"` };
  }
  if (isOlder(version, program.versionMin)) {
    return { problem: `${path} is version ${version}, older than ${program.versionMin}` };
  }
  return { path, version, how };
}

function isOlder(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) < 0;
}
