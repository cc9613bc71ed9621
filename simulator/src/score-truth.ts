import { type EpochMs, epochMs, shift } from '@floorwatch/contracts';
import { StartError } from '@floorwatch/runtime';

import { FloorApi, readToken } from './score/floor-api.ts';
import { AFTER_MS, matchTruth, type TruthScore } from './score/match-truth.ts';
import { readTruthFile } from './score/truth-file.ts';

/** What a person gives `floorwatch-simulator score`. */
export interface ScoreOptions {
  readonly truth: string;
  readonly api: string;
  readonly tokenFile?: string;
  readonly from?: EpochMs;
  readonly to?: EpochMs;
  readonly json: boolean;
}

/** Compares a ground truth with the episodes in the store and prints what comes of it. @throws StartError */
export async function scoreTruth(options: ScoreOptions, signal: AbortSignal): Promise<void> {
  const all = await readTruthFile(options.truth);
  if (all.length === 0) throw new StartError('usage', `--truth ${options.truth}: holds no fault`);
  const from = options.from ?? epochMs(all.reduce((least, fault) => Math.min(least, fault.from), Infinity));
  const to = options.to ?? shift(epochMs(all.reduce((most, fault) => Math.max(most, fault.to), -Infinity)), AFTER_MS);
  const truth = all.filter((fault) => fault.from >= from && fault.from < to);
  const api = new FloorApi(options.api, await readToken(options.tokenFile));
  const episodes = await api.episodes(from, to, signal);
  const sensors = await api.sensorCount(signal);
  const score = matchTruth(truth, episodes, { sensors, ms: to - from });
  process.stdout.write(`${options.json ? JSON.stringify(score) : scoreText(score)}\n`);
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** The comparison as tables for people. */
export function scoreText(score: TruthScore): string {
  const faults = Object.entries(score.byType).map(([type, { injected, found, recall, delayMs, kinds }]) => [
    type,
    `${found}/${injected}`,
    percent(recall),
    delayMs === null ? '–' : `${(delayMs / 1_000).toFixed(1)} s`,
    Object.entries(kinds)
      .sort(([, a], [, b]) => b - a)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', '),
  ]);
  const kinds = Object.entries(score.byKind).map(([kind, { episodes, explained, precision }]) => [
    kind,
    `${episodes}`,
    `${explained}`,
    percent(precision),
  ]);
  return [
    ...table(['fault', 'found', 'recall', 'delay', 'first reported as'], faults),
    '',
    ...table(['reported as', 'episodes', 'of a fault', 'precision'], kinds),
    '',
    `${score.found} of ${score.faults} faults found (recall ${percent(score.recall)}), ` +
      `${score.falseAlarms} of ${score.episodes} episodes belong to none (precision ${percent(score.precision)}).`,
    `False alarms per sensor and week: ${score.falseAlarmsPerSensorWeek.toFixed(2)}, ` +
      `critical ones ${score.criticalFalseAlarmsPerSensorWeek.toFixed(2)}.`,
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
