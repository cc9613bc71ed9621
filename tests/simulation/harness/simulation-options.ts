import type { Outcome } from './simulate.ts';

/** What `npm run simulate` asks for; `npm test` asks for nothing. */
export interface SimulationOptions {
  readonly seeds: number;
  /** The first one. */
  readonly seed: number;
  /** Whether somebody asked, and watches. */
  readonly asked: boolean;
  /** Whether the first failure ends it. */
  readonly untilFailure: boolean;
  /** File for the seeds that failed, one JSON object per line. */
  readonly resultFile: string | undefined;
}

/** The environment variable in which the command hands its options to the test. */
const VARIABLE = 'FLOORWATCH_SIMULATION';
/** Seeds in `npm test`. */
const SEEDS = 500;
/** Lines of history that are printed. */
const LINES = 60;

export function simulationOptions(): SimulationOptions {
  const text = process.env[VARIABLE];
  const given = text === undefined ? {} : (JSON.parse(text) as Partial<Omit<SimulationOptions, 'asked'>>);
  return {
    seeds: given.seeds ?? SEEDS,
    seed: given.seed ?? 1,
    asked: text !== undefined,
    untilFailure: given.untilFailure ?? false,
    resultFile: given.resultFile,
  };
}

/** What went wrong with a seed, what came before, and how to see it again. */
export function describeFailure({ seed, faults, failures, history }: Outcome): string {
  const shown = history.slice(-LINES).map((line) => (line.length > 300 ? `${line.slice(0, 300)} …` : line));
  return [
    `seed ${seed} (${faults.join(', ') || 'no faults'}): ${failures.join('\n')}`,
    ...(history.length > LINES ? [`… ${history.length - LINES} lines before`] : []),
    ...shown,
    `again: npm run simulate -- --seed ${seed} --seeds 1`,
  ].join('\n');
}
