import { join } from 'node:path';

import { limits } from './limits.ts';
import { LogFile } from './log-file.ts';
import { showLine } from './log-line.ts';
import type { Terminal } from './terminal.ts';

/** Writes what a program says to its log file, and what matters to the terminal. */
export class ChildLog {
  readonly #program: string;
  readonly #file: LogFile;
  readonly #terminal: Terminal;
  readonly #verbose: boolean;
  /** When a message was shown last, and how often it has come since. */
  readonly #shown = new Map<string, { at: number; since: number }>();

  /**
   * @param folder that of the log files.
   * @param verbose shows every line.
   */
  constructor(program: string, folder: string, terminal: Terminal, verbose: boolean) {
    this.#program = program;
    this.#file = new LogFile(join(folder, `${program}.log`), limits.logBytesMax);
    this.#terminal = terminal;
    this.#verbose = verbose;
  }

  readonly onLine = (line: string): void => {
    this.#file.write(line);
    const { text, topic, important } = showLine(this.#program, line);
    if (this.#verbose) this.#terminal.about(this.#program, text);
    else if (important) this.#showSeldom(topic, text);
  };

  /** The same trouble in many places, again and again, is shown once in a while. */
  #showSeldom(topic: string, text: string): void {
    const last = this.#shown.get(topic);
    const now = Date.now();
    if (last !== undefined && now - last.at < limits.repeatMs) {
      last.since++;
      return;
    }
    const more = last === undefined || last.since === 0 ? '' : `  (and ${last.since} more like it, see the log)`;
    if (this.#shown.size >= limits.topicsMax) this.#shown.clear();
    this.#shown.set(topic, { at: now, since: 0 });
    this.#terminal.about(this.#program, `${text}${more}`);
  }
}
