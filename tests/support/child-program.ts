import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

import { messageOf } from '@floorwatch/runtime';

import { waitFor } from './wait-for.ts';

/** A program that has not ended so long after it was asked to is killed, and `stop` fails. */
const STOP_MS_MAX = 12_000;

/** Output beyond this is dropped from its beginning. */
const OUTPUT_CHARACTERS_MAX = 4 * 1024 * 1024;

export interface ChildProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** How a program ended. */
export interface ProgramExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A built program as a child process; it stops when the test's process is gone, because it is connected to it. */
export class ChildProgram {
  readonly #child: ChildProcess;
  readonly #name: string;
  #stdout = '';
  #stderr = '';
  /** Resolves when it has ended and all of its output has arrived. */
  readonly exited: Promise<ProgramExit>;

  /**
   * @param script path of a JavaScript file, such as `programs.agent`.
   * @param parameters its command line.
   */
  constructor(script: string, parameters: readonly string[] = [], options: ChildProgramOptions = {}) {
    this.#name = [script, ...parameters].join(' ');
    const child = spawn(process.execPath, [script, ...parameters], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-OUTPUT_CHARACTERS_MAX);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-OUTPUT_CHARACTERS_MAX);
    });
    this.exited = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Waits until its output matches; fails early, with its output, if it ends before. */
  async printed(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    let ended = false;
    void this.exited.then(() => (ended = true));
    const result = await waitFor(
      `${this.#name} prints ${pattern}`,
      () => {
        const match = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr);
        return match !== null || ended ? { match } : undefined;
      },
      { timeoutMs },
    ).catch((error: unknown) => {
      throw new Error(`${messageOf(error)}\n${this.output()}`, { cause: error });
    });
    if (result.match === null) throw new Error(`${this.#name} ended and never printed ${pattern}:\n${this.output()}`);
    return result.match;
  }

  /** The end of what it has written, for messages. */
  output(): string {
    return `--- stdout\n${this.#stdout.slice(-4_000)}\n--- stderr\n${this.#stderr.slice(-4_000)}`;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends SIGTERM (or `signal`) and waits for its end. @throws Error if it had to be killed. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<ProgramExit> {
    if (!this.isRunning) return this.exited;
    this.#child.kill(signal);
    let killed = false;
    const killing = setTimeout(() => {
      killed = true;
      this.#child.kill('SIGKILL');
    }, STOP_MS_MAX);
    const exit = await this.exited;
    clearTimeout(killing);
    if (killed)
      throw new Error(`${this.#name} did not stop within ${STOP_MS_MAX / 1000} s of ${signal}:\n${this.output()}`);
    return exit;
  }

  /** Ends it as a crash or a power cut would. */
  async kill9(): Promise<ProgramExit> {
    this.#child.kill('SIGKILL');
    return this.exited;
  }
}
