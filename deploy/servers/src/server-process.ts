import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';

import { messageOf } from '@floorwatch/runtime';

import { spawnGuarded } from './guarded-child.ts';

/** A server that has not ended so long after it was asked to is killed. */
const STOP_MS_MAX = 5_000;

/** How often a server that starts is asked whether it is ready. */
const READY_RETRY_MS = 50;

/** Last lines of a server's output, kept for messages. */
const LINES_MAX = 50;

/** How a server process ended. */
export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** In words: `ended with exit code 1`, `was ended by SIGKILL`. */
export function describeExit({ code, signal }: ServerExit): string {
  return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
}

/** A server did not become ready; the message says why, with its last lines. */
export class ServerStartError extends Error {
  override readonly name = 'ServerStartError';
  /** How it ended; undefined if it took too long. */
  readonly exit: ServerExit | undefined;

  constructor(message: string, exit: ServerExit | undefined) {
    super(message);
    this.exit = exit;
  }
}

/** What distinguishes one kind of server from another. */
export interface ServerLaunch {
  /** For messages. */
  readonly name: string;
  readonly path: string;
  readonly parameters: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** What it writes when it listens, so that another server at the same port is not taken for this one. Default: nothing. */
  readonly listeningLine?: RegExp;
  /** Asks the server itself whether it can work; throws or returns false while it can't. */
  readonly isReady: () => Promise<boolean>;
  /** It may take this long from its start until it is ready. */
  readonly readyMsMax: number;
  /** Gives up waiting until it is ready, and kills it. */
  readonly signal?: AbortSignal | undefined;
  /** Receives every line of its output. */
  readonly onLine?: (line: string) => void;
}

/** A server as a child process that never outlives this one. */
export class ServerProcess {
  readonly #launch: ServerLaunch;
  readonly #lines: string[] = [];
  #child: ChildProcess | undefined;
  #listens = false;
  #exited: Promise<ServerExit> = Promise.resolve({ code: null, signal: null });

  constructor(launch: ServerLaunch) {
    this.#launch = launch;
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the process that runs now has ended and all that it wrote has arrived. */
  get exited(): Promise<ServerExit> {
    return this.#exited;
  }

  /** Its last lines of output, at most 50. */
  get lastLines(): readonly string[] {
    return this.#lines;
  }

  /**
   * Starts it and waits until it says that it is ready.
   *
   * @throws ServerStartError if it ends first or takes too long, the signal's reason if that aborts; nothing is left running then.
   */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.#launch.name} already runs`);
    const { path, parameters, environment } = this.#launch;
    const child = spawnGuarded(path, parameters, environment === undefined ? {} : { environment });
    this.#child = child;
    this.#listens = this.#launch.listeningLine === undefined;
    this.#collect(child);
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => this.#keep(error.message));
      child.once('exit', () => this.#forget(child));
      child.once('close', (code: number | null, signal: NodeJS.Signals | null) => {
        this.#forget(child);
        resolve({ code, signal });
      });
    });
    try {
      await this.#untilReady(child);
    } catch (error) {
      await this.kill9();
      throw error;
    }
  }

  /** Asks it to end, and kills it if it does not in time (default 5 s). */
  async stop(msMax = STOP_MS_MAX): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    const killing = setTimeout(() => child.kill('SIGKILL'), msMax);
    await this.#exited;
    clearTimeout(killing);
  }

  /** Ends it as a crash would. */
  async kill9(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  async #untilReady(child: ChildProcess): Promise<void> {
    const { name, isReady, readyMsMax, signal: abort } = this.#launch;
    const deadline = Date.now() + readyMsMax;
    const ended = this.#exited.then(() => false);
    let last = 'it does not listen';
    while (this.#child === child) {
      abort?.throwIfAborted();
      try {
        if (this.#listens && (await Promise.race([isReady(), ended]))) return;
      } catch (error) {
        last = messageOf(error);
      }
      if (Date.now() > deadline) {
        throw new ServerStartError(`${name} was not ready after ${readyMsMax / 1000} s: ${last}`, undefined);
      }
      await Promise.race([wait(READY_RETRY_MS), ended]);
    }
    const exit = await this.#exited;
    const message = `${name} ${describeExit(exit)} before it was ready. Its last lines:`;
    throw new ServerStartError([message, ...this.#lines].join('\n  '), exit);
  }

  #forget(child: ChildProcess): void {
    if (this.#child === child) this.#child = undefined;
  }

  #collect(child: ChildProcess): void {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#keep(line));
    }
  }

  #keep(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
    if (this.#launch.listeningLine?.test(line) === true) this.#listens = true;
    this.#launch.onLine?.(line);
  }
}
