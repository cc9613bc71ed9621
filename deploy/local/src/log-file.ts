import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** A file of lines that never grows beyond a size: a full one is set aside as `….1.log`, in place of the one before. */
export class LogFile {
  readonly #path: string;
  readonly #bytesMax: number;
  #file: number;
  #bytes: number;

  /** @param path ends in `.log`; lines are added to what it holds. */
  constructor(path: string, bytesMax: number) {
    this.#path = path;
    this.#bytesMax = bytesMax;
    this.#file = openSync(path, 'a');
    this.#bytes = fstatSync(this.#file).size;
  }

  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#bytesMax) this.#setAside();
    writeSync(this.#file, bytes);
    this.#bytes += bytes.length;
  }

  close(): void {
    closeSync(this.#file);
  }

  #setAside(): void {
    closeSync(this.#file);
    renameSync(this.#path, this.#path.replace(/\.log$/, '.1.log'));
    this.#file = openSync(this.#path, 'w');
    this.#bytes = 0;
  }
}
