/** Width of the column with the names of programs. */
const NAME_WIDTH = 'nats-server'.length;

/** What the person who started the floor sees, line by line on standard output. */
export class Terminal {
  readonly #write: (text: string) => void;

  /** @param write default: standard output. */
  constructor(write: (text: string) => void = (text) => void process.stdout.write(text)) {
    this.#write = write;
  }

  /** A line of our own. */
  say(text = ''): void {
    this.#write(`${text}\n`);
  }

  /** A line about a program, or by it. */
  about(program: string, text: string): void {
    this.#write(`${program.padEnd(NAME_WIDTH)}  ${text}\n`);
  }
}
