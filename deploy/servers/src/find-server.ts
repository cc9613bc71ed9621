import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { StartError, takeProcessLock } from '@floorwatch/runtime';

import { checkExecutable, onPath } from './executable.ts';
import type { FetchContext, FetchResult } from './fetch-server.ts';
import { fromDebian } from './from-debian.ts';
import { fromGo } from './from-go.ts';
import { fromRelease } from './from-release.ts';
import { type FoundServer, SERVER_PROGRAMS, type ServerName, type ServerProgram } from './server-program.ts';

/** How often a process that waits for another one's download looks again. */
const LOCK_RETRY_MS = 250;

export interface FindOptions {
  /** Path that a person chose; goes before the environment variable of the program, such as FLOORWATCH_NATS_SERVER. */
  readonly path?: string;
  /** False: only look, install and download nothing. Default true. */
  readonly fetch?: boolean;
  /** Default $XDG_CACHE_HOME/floorwatch, or ~/.cache/floorwatch. */
  readonly cacheDirectory?: string;
  /** Default the environment of this process. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Whether the folders of the system count beside PATH. Default true. */
  readonly systemFolders?: boolean;
  /** Whether packages can be installed. Default: whether this process is root. */
  readonly isRoot?: boolean;
  /** Where the official release is downloaded from, instead of where it was published. */
  readonly releaseBaseUrl?: string;
  /** Gives up fetching. */
  readonly signal?: AbortSignal;
  /** Told before every step that may take long. Default: a line on standard error. */
  readonly progress?: (message: string) => void;
}

/**
 * Finds a usable program, or fetches it. In this order: a person's choice, PATH and the folders of the system, our cache, a Go tool
 * chain, Debian's package, the pinned official release. Several processes may ask at once: one fetches, the others wait for it.
 *
 * @throws StartError `server-missing` that says what was tried and the one command that helps. A person's choice that can't be used
 *   is an error too: nothing else is put in its place.
 */
export async function findServer(name: ServerName, options: FindOptions = {}): Promise<FoundServer> {
  const program = withReleaseFrom(SERVER_PROGRAMS[name], options.releaseBaseUrl);
  const environment = options.environment ?? process.env;
  const chosen = options.path ?? environment[program.variable];
  if (chosen !== undefined && chosen !== '') return checkChoice(program, chosen, options.path, environment);

  const cacheDirectory = options.cacheDirectory ?? defaultCacheDirectory(environment);
  const systemFolders = options.systemFolders ?? true;
  const { signal } = options;
  const isRoot = options.isRoot ?? process.getuid?.() === 0;
  const progress = options.progress ?? ((message: string) => void process.stderr.write(`${name}: ${message}\n`));
  const tried: string[] = [];
  const present = await findPresent(program, environment, cacheDirectory, systemFolders, tried);
  if (present !== undefined) return present;
  if (options.fetch ?? true) {
    const fetched = await fetchOnce(
      { program, environment, cacheDirectory, systemFolders, isRoot, signal, progress },
      tried,
    );
    if (fetched !== undefined) return fetched;
  } else {
    tried.push('fetching: not asked for');
  }
  throw new StartError('server-missing', explain(program, tried));
}

/** Looks without fetching; undefined if there is none. For what can be left out, such as a test that says so in its name. */
export async function lookForServer(name: ServerName, options: FindOptions = {}): Promise<FoundServer | undefined> {
  try {
    return await findServer(name, { ...options, fetch: false });
  } catch (error) {
    if (error instanceof StartError) return undefined;
    throw error;
  }
}

/**
 * Every version that is here: a person's choice, on PATH and in the folders of the system, and in our cache; the first of each version. For
 * tests that compare versions.
 */
export async function lookForVersions(name: ServerName, options: FindOptions = {}): Promise<readonly FoundServer[]> {
  const program = SERVER_PROGRAMS[name];
  const environment = options.environment ?? process.env;
  const chosen = options.path ?? environment[program.variable] ?? '';
  const cacheDirectory = options.cacheDirectory ?? defaultCacheDirectory(environment);
  const paths = [
    ...(chosen === '' ? [] : [chosen]),
    ...(await onPath(program.executables, environment, options.systemFolders ?? true)),
    join(cacheDirectory, program.name),
  ];
  const found = new Map<string, FoundServer>();
  for (const path of paths) {
    const checked = await checkExecutable(program, path, 'looked for', environment);
    if (!('problem' in checked) && !found.has(checked.version)) found.set(checked.version, checked);
  }
  return [...found.values()];
}

function withReleaseFrom(program: ServerProgram, baseUrl: string | undefined): ServerProgram {
  if (baseUrl === undefined || program.release === undefined) return program;
  return { ...program, release: { ...program.release, baseUrl } };
}

async function checkChoice(
  program: ServerProgram,
  path: string,
  option: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<FoundServer> {
  const how = option === undefined ? program.variable : 'setting';
  const checked = await checkExecutable(program, path, how, environment);
  if (!('problem' in checked)) return checked;
  const remedy = `correct ${option === undefined ? program.variable : 'the path'}, or remove it and one is looked for`;
  throw new StartError('server-missing', `${program.name}: ${checked.problem}; ${remedy}`);
}

async function findPresent(
  program: ServerProgram,
  environment: NodeJS.ProcessEnv,
  cacheDirectory: string,
  systemFolders: boolean,
  tried: string[],
): Promise<FoundServer | undefined> {
  const paths = await onPath(program.executables, environment, systemFolders);
  if (paths.length === 0)
    tried.push(`PATH${systemFolders ? ' and /usr/sbin' : ''}: no ${program.executables.join(', ')}`);
  for (const path of paths) {
    const checked = await checkExecutable(program, path, 'PATH', environment);
    if (!('problem' in checked)) return checked;
    tried.push(`PATH: ${checked.problem}`);
  }
  const cached = await checkExecutable(program, join(cacheDirectory, program.name), 'cache', environment);
  if (!('problem' in cached)) return cached;
  tried.push(`cache: ${cached.problem}`);
  return undefined;
}

/** Fetches while holding a lock, so that two processes do not build or download the same thing twice. */
async function fetchOnce(context: FetchContext, tried: string[]): Promise<FoundServer | undefined> {
  const { program, environment, cacheDirectory, systemFolders } = context;
  let waits = false;
  for (;;) {
    const taken = await takeProcessLock(join(cacheDirectory, `${program.name}.lock`));
    if ('lock' in taken) {
      try {
        // Another process may have put it there while this one waited.
        if (waits) {
          const present = await findPresent(program, environment, cacheDirectory, systemFolders, []);
          if (present !== undefined) return present;
        }
        return await fetchAny(context, tried);
      } finally {
        await taken.lock.release();
      }
    }
    if (!waits) context.progress(`another process (${taken.holder ?? 'unknown'}) is fetching it; waiting`);
    waits = true;
    await wait(LOCK_RETRY_MS, undefined, context.signal === undefined ? {} : { signal: context.signal });
  }
}

async function fetchAny(context: FetchContext, tried: string[]): Promise<FoundServer | undefined> {
  const ways: readonly (readonly [string, () => Promise<FetchResult>])[] = [
    ['Go', () => fromGo(context)],
    ['Debian', () => fromDebian(context)],
    ['official release', () => fromRelease(context)],
  ];
  for (const [name, way] of ways) {
    const result = await way();
    context.signal?.throwIfAborted();
    if (!('problem' in result)) {
      context.progress(`ready: ${result.path} (${result.version}, ${result.how})`);
      return result;
    }
    tried.push(`${name}: ${result.problem}`);
  }
  return undefined;
}

function defaultCacheDirectory(environment: NodeJS.ProcessEnv): string {
  const base = environment['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homeFolder(), '.cache') : base, 'floorwatch');
}

function homeFolder(): string {
  try {
    return homedir();
  } catch (error) {
    const remedy = 'set HOME or XDG_CACHE_HOME to a folder that this user may write';
    throw new StartError('usage', `HOME: is not set, and this user has no entry in /etc/passwd; ${remedy}`, {
      cause: error,
    });
  }
}

function explain(program: ServerProgram, tried: readonly string[]): string {
  return [
    `${program.name} is needed and could not be found. Tried:`,
    ...tried.map((line) => `  ${line}`),
    `What helps: ${program.remedy}`,
    `or set ${program.variable} to the path of an executable.`,
  ].join('\n');
}
