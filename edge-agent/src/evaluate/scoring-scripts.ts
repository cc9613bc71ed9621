import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

/** What the scripts know, by the folder that a collection must have. */
const EVENT_COLLECTIONS = ['spacecraft-telemetry', 'river-sensors', 'iot-synthetic'];
export const KNOWN_COLLECTIONS: readonly string[] = ['nab', ...EVENT_COLLECTIONS];

/** The results cannot be scored, and why, for a person. */
export class ScoringError extends Error {}

export interface ScoringRun {
  /** The folder of the collections, and the folder of the results with the same names. */
  readonly datasets: string;
  readonly results: string;
  /** Those of {@link KNOWN_COLLECTIONS} that there are. */
  readonly collections: readonly string[];
  /** In decades: from where on a score is a warning, and from where on critical. */
  readonly warning: number;
  readonly critical: number;
  readonly json: boolean;
}

interface NabResult {
  readonly profiles: Readonly<Record<'standard' | 'reward_low_FP' | 'reward_low_FN', NabProfile>>;
}
interface NabProfile {
  readonly score: number;
  readonly found: number;
  readonly windows: number;
  readonly falseAlarms: number;
}
interface EventsResult {
  readonly f1: number;
  readonly precision: number;
  readonly recall: number;
  readonly found: number;
  readonly events: number;
  readonly falseAlarms: number;
}

/** The first of the folders that has `score-all.mjs` and with it the scripts that it calls. */
export function findScripts(folders: readonly string[]): string {
  const found = folders.find((folder) => existsSync(path.join(folder, 'score-all.mjs')));
  if (found !== undefined) return found;
  const looked = folders.map((folder) => path.resolve(folder)).join(' nor in ');
  throw new ScoringError(`The scorer, score-all.mjs, is not in ${looked}. Give its folder with --tools.`);
}

/**
 * Scores the results: with all collections the table of `score-all.mjs`, which ends with the total; with some of them the same lines of
 * those, and no total.
 *
 * @throws ScoringError if a script can not score them.
 */
export function scoreResults(scripts: string, run: ScoringRun): string {
  const thresholds = ['--warning', `${run.warning}`, '--critical', `${run.critical}`];
  if (KNOWN_COLLECTIONS.every((name) => run.collections.includes(name))) {
    const json = run.json ? ['--json'] : [];
    return runScript(scripts, 'score-all.mjs', [run.results, ...thresholds, '--datasets', run.datasets, ...json]);
  }
  const nab = run.collections.includes('nab') ? scoreNab(scripts, run) : undefined;
  const events = EVENT_COLLECTIONS.filter((name) => run.collections.includes(name)).map(
    (name) => [name, scoreEvents(scripts, run, name)] as const,
  );
  if (!run.json) return [nab && nabLine(nab), ...events.map(([name, result]) => eventsLine(name, result))].join('');
  const { warning, critical } = run;
  const scores = nab && Object.fromEntries(Object.entries(nab.profiles).map(([name, { score }]) => [name, score]));
  const f1 = Object.fromEntries(events.map(([name, result]) => [name, 100 * result.f1]));
  return `${JSON.stringify({ total: null, nab: scores, f1, warning, critical })}\n`;
}

function scoreNab(scripts: string, { results, datasets, warning }: ScoringRun): NabResult {
  const labels = path.join(datasets, 'nab/labels.json');
  const given = [path.join(results, 'nab'), '--labels', labels, '--threshold', `${warning}`, '--json'];
  return JSON.parse(runScript(scripts, 'score-nab.mjs', given)) as NabResult;
}

function scoreEvents(scripts: string, { results, datasets, critical }: ScoringRun, name: string): EventsResult {
  const set = path.join(datasets, name);
  const given = [name, path.join(results, name), '--set', set, '--threshold', `${critical}`, '--json'];
  return JSON.parse(runScript(scripts, 'score-events.mjs', given)) as EventsResult;
}

function nabLine({ profiles }: NabResult): string {
  const { standard, reward_low_FP: lowFp, reward_low_FN: lowFn } = profiles;
  return (
    `${'nab'.padEnd(22)} standard ${standard.score.toFixed(1)}  low-FP ${lowFp.score.toFixed(1)}  ` +
    `low-FN ${lowFn.score.toFixed(1)}  windows ${standard.found}/${standard.windows}  false ${standard.falseAlarms}\n`
  );
}

const percent = (share: number): string => (100 * share).toFixed(1);

const eventsLine = (name: string, { f1, precision, recall, found, events, falseAlarms }: EventsResult): string =>
  `${name.padEnd(22)} F1 ${percent(f1)}  precision ${percent(precision)}  recall ${percent(recall)}  ` +
  `found ${found}/${events}  false ${falseAlarms}\n`;

function runScript(folder: string, script: string, given: readonly string[]): string {
  const { status, error, stdout, stderr } = spawnSync(process.execPath, [path.join(folder, script), ...given], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (error === undefined && status === 0) return stdout;
  // What a script threw stands behind the line of the source that threw it.
  const reason = error?.message ?? /^(?:\w*Error: )(.+)$/m.exec(stderr)?.[1] ?? `it ended with ${status}`;
  throw new ScoringError(`${script} cannot score the results: ${reason}`);
}
