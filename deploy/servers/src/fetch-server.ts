import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { makeFolder } from '@floorwatch/runtime';

import { checkExecutable } from './executable.ts';
import type { FoundServer, ServerProgram } from './server-program.ts';

/** What a way of fetching is given. */
export interface FetchContext {
  readonly program: ServerProgram;
  /** Our cache folder, in which the executable is put under the program's name. */
  readonly cacheDirectory: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Whether the folders of the system count beside PATH. */
  readonly systemFolders: boolean;
  /** Whether packages can be installed. */
  readonly isRoot: boolean;
  /** Gives up. */
  readonly signal: AbortSignal | undefined;
  /** Told before every step that may take long. */
  readonly progress: (message: string) => void;
}

/** What a way of fetching came to: the program, or a sentence why not. */
export type FetchResult = FoundServer | { readonly problem: string };

/**
 * Lets `fetch` work in a temporary folder, and puts the executable that it returns into the cache in one step, so that no other
 * process ever sees half of it.
 */
export async function fetchIntoCache(
  context: FetchContext,
  how: string,
  fetch: (workDirectory: string) => Promise<string | { readonly problem: string }>,
): Promise<FetchResult> {
  const { program, cacheDirectory, environment } = context;
  await makeFolder(cacheDirectory);
  const workDirectory = await mkdtemp(join(cacheDirectory, `.${program.name}-`));
  try {
    const fetched = await fetch(workDirectory);
    if (typeof fetched !== 'string') return fetched;
    const checked = await checkExecutable(program, fetched, how, environment);
    if ('problem' in checked) return checked;
    const path = join(cacheDirectory, program.name);
    await rename(fetched, path);
    return { ...checked, path };
  } finally {
    await rm(workDirectory, { recursive: true, force: true });
  }
}
