import { appendFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';

/** What `npm run chaos` asks for; `npm test` asks for nothing, and scenarios then run short. */
export interface ChaosOptions {
  /** Rounds, cuts or whatever a scenario repeats. Undefined: as many as belong into `npm test`. */
  readonly rounds: number | undefined;
  /** Of every random decision. What depends on the speed of the machine differs all the same from run to run. */
  readonly seed: number;
  /** Whether somebody asked for this scenario, and watches. */
  readonly asked: boolean;
  /** Whether durations are judged. Default: if somebody asked. */
  readonly timed: boolean;
  /** Which one somebody asked for; of use where several are in one file. */
  readonly scenario: string | undefined;
  /** File for the figures, one JSON object per line. */
  readonly resultFile: string | undefined;
}

/** The environment variable in which the command hands its options to the tests. */
const VARIABLE = 'FLOORWATCH_CHAOS';

export function chaosOptions(): ChaosOptions {
  const text = process.env[VARIABLE];
  const given = text === undefined ? {} : (JSON.parse(text) as Partial<Omit<ChaosOptions, 'asked'>>);
  return {
    rounds: given.rounds,
    seed: given.seed ?? Math.floor(Math.random() * 2 ** 31),
    asked: text !== undefined,
    timed: given.timed ?? text !== undefined,
    scenario: given.scenario,
    resultFile: given.resultFile,
  };
}

/** Tells whoever watches how far it is. */
export function progress(text: string): void {
  if (chaosOptions().asked) process.stderr.write(`  ${text}\n`);
}

/** Processes that want to run, per core, from which on the machine counts as busy. A scenario alone makes about one. */
const LOAD_MAX_PER_CORE = 2;

/** A duration to compare with a limit: in `npm test` or on a machine that does much other work it says nothing and counts as none. */
export function ifAsked(duration: number): number {
  const isBusy = (loadavg()[0] ?? 0) > LOAD_MAX_PER_CORE * availableParallelism();
  return chaosOptions().timed && !isBusy ? duration : 0;
}

/** What a scenario measured. */
export type Figures = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Prints what a test measured, and keeps it for the command. */
export function report(name: string, figures: Figures): void {
  const { asked, resultFile } = chaosOptions();
  const lines = Object.entries(figures).map(([what, value]) => `  ${what}: ${String(value)}`);
  if (asked) process.stdout.write(`\n${name}\n${lines.join('\n')}\n`);
  if (resultFile !== undefined) appendFileSync(resultFile, `${JSON.stringify({ test: name, ...figures })}\n`);
}

/** How often a scenario repeats, and how to do it again. */
export const repeatCommand = (scenario: string, seed: number, rounds: number): string =>
  `npm run chaos -- --scenario ${scenario} --seed ${seed} --rounds ${rounds}`;

/** The value that this share of the values does not exceed (nearest rank); NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
