// What `npm run chaos` and `npm run simulate` have in common: the command line, a folder for the figures, and the tests that are run.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { runGroup } from '../../deploy/local/process-group.mjs';

const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;

/** The largest seed. */
export const SEED_MAX = 2 ** 31 - 1;

/** The folder of the repository. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The command line of a program with this help; whatever is wrong with it is said together with the help, and ends the program. */
export class CommandLine {
  #help;

  /** By name, `--json` included. */
  values;

  /** @param options as `parseArgs` takes them, besides `--json` and `--help`. */
  constructor(help, options) {
    this.#help = help;
    const common = { json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } };
    try {
      this.values = parseArgs({ options: Object.assign(common, options) }).values;
    } catch (error) {
      this.#fail(error.message);
    }
    if (!this.values.help) return;
    process.stdout.write(`${help}\n`);
    process.exit(0);
  }

  /** The value of an option, one of these. */
  oneOf(name, names) {
    const value = this.values[name];
    if (value !== undefined && !names.includes(value))
      this.#fail(`--${name} must be one of ${names.join(', ')}; it is ${value}`);
    return value;
  }

  /** The value of an option as a number; undefined if it was not given. */
  wholeNumber(name, min, max) {
    const text = this.values[name];
    if (text === undefined) return undefined;
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < min || number > max)
      this.#fail(`--${name} must be a whole number from ${min} to ${max}; it is ${text}`);
    return number;
  }

  #fail(message) {
    process.stderr.write(`${message}\n\n${this.#help}\n`);
    process.exit(EXIT_USAGE);
  }
}

/** Has `work` use a folder, and removes it afterwards. */
export async function withFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'floorwatch-command-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs tests.
 *
 * @param environment variables for them, besides those of this process.
 * @param json whether standard output is kept free for one JSON object.
 * @returns the exit code for this process: 0 if they passed, else 1, or 130 if they were interrupted.
 */
export async function runTests(path, environment, json) {
  const { code, signal } = await runGroup(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', path], {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ['ignore', json ? process.stderr : 'inherit', 'inherit'],
  });
  return signal === null ? Math.min(code, 1) : EXIT_INTERRUPTED;
}

/** The objects in a file of NDJSON; none if there is no file. */
export function readLines(file) {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}
