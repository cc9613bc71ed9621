import { SingleBar } from 'cli-progress';

/** On a terminal the line changes in place; elsewhere a plain line comes every few seconds. */
const TERMINAL_MS = 250;
const PLAIN_MS = 5_000;

/** What to show: a share in [0, 1] of work with a known end, and a text such as `12,345 sent`. */
export interface ProgressState {
  readonly share: number | undefined;
  readonly text: string;
}

/** Shows how far a command is, on standard error, until it is stopped. */
export class Progress {
  readonly #state: () => ProgressState;
  readonly #bar: SingleBar | undefined;
  readonly #timer: NodeJS.Timeout;

  /** @param state asked whenever something is shown. */
  constructor(state: () => ProgressState) {
    this.#state = state;
    if (process.stderr.isTTY) {
      const bounded = state().share !== undefined;
      this.#bar = new SingleBar({
        format: bounded ? '{bar} {percentage}% {text}' : '{text}',
        clearOnComplete: true,
        hideCursor: true,
        stopOnComplete: false,
        // The commands end on signals themselves, with a summary.
        gracefulExit: false,
        barsize: 24,
      });
      this.#bar.start(1_000, 0, { text: '' });
    }
    this.#timer = setInterval(() => this.#show(), this.#bar === undefined ? PLAIN_MS : TERMINAL_MS).unref();
  }

  /** Prints a line of its own, above what changes in place. */
  note(text: string): void {
    if (this.#bar !== undefined) process.stderr.write('\r\u001B[K');
    process.stderr.write(`${text}\n`);
    if (this.#bar !== undefined) this.#show();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#bar?.stop();
  }

  #show(): void {
    const { share, text } = this.#state();
    if (this.#bar !== undefined) this.#bar.update(Math.floor((share ?? 0) * 1_000), { text });
    else process.stderr.write(`${share === undefined ? '' : `${Math.floor(share * 100)}%, `}${text}\n`);
  }
}
