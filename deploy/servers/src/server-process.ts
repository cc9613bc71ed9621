import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
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

/** What distinguishes one kind of server from another. */
export interface ServerLaunch {
  /** For messages. */
  readonly name: string;
  readonly path: string;
  readonly parameters: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** What it writes when it listens; without it another server at the same port could be taken for this one. */
  readonly listeningLine: RegExp;
  /** Asks the server itself whether it can work; throws or returns false while it can't. */
  readonly isReady: () => Promise<boolean>;
  /** It may take this long from its start until it is ready. */
  readonly readyMsMax: number;
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

  /** Resolves when the process that runs now has ended. */
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
   * @throws Error with its last lines if it ends first or takes too long; nothing is left running then.
   */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error(`${this.#launch.name} already runs`);
    const { path, parameters, environment } = this.#launch;
    const child = spawnGuarded(path, parameters, environment === undefined ? {} : { environment });
    this.#child = child;
    this.#listens = false;
    this.#collect(child);
    const closed = once(child, 'close').catch(() => {});
    this.#exited = new Promise((resolve) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
        if (this.#child === child) this.#child = undefined;
        resolve({ code, signal });
      };
      child.once('exit', ended);
      child.once('error', (error) => {
        this.#keep(error.message);
        ended(null, null);
      });
    });
    try {
      await this.#untilReady(child, closed);
    } catch (error) {
      await this.kill9();
      throw error;
    }
  }

  /** Asks it to end, and kills it if it does not within 5 s. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGTERM');
    const killing = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await this.#exited;
    clearTimeout(killing);
  }

  /** Ends it as a crash would. */
  async kill9(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  async #untilReady(child: ChildProcess, closed: Promise<unknown>): Promise<void> {
    const { name, isReady, readyMsMax } = this.#launch;
    const deadline = Date.now() + readyMsMax;
    const ended = this.#exited.then(() => false);
    let last = 'it does not listen';
    while (this.#child === child) {
      try {
        if (this.#listens && (await Promise.race([isReady(), ended]))) return;
      } catch (error) {
        last = messageOf(error);
      }
      if (Date.now() > deadline) throw new Error(`${name} was not ready after ${readyMsMax / 1000} s: ${last}`);
      await Promise.race([wait(READY_RETRY_MS), ended]);
    }
    // Its last words may still be on their way.
    await closed;
    const { code, signal } = await this.#exited;
    const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
    throw new Error([`${name} ended ${how} before it was ready. Its last lines:`, ...this.#lines].join('\n  '));
  }

  #collect(child: ChildProcess): void {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#keep(line));
    }
  }

  #keep(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
    if (this.#launch.listeningLine.test(line)) this.#listens = true;
    this.#launch.onLine?.(line);
  }
}
