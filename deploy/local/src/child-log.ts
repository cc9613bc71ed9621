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
    const { text, important } = showLine(this.#program, line);
    if (important || this.#verbose) this.#terminal.about(this.#program, text);
  };
}
