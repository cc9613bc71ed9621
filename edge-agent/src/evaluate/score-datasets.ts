#!/usr/bin/env node
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Command, Option } from 'commander';

import { THRESHOLDS } from '../score/adaptive/parameters.ts';
import { collectionsIn, type LabelledSeries, seriesOf } from './labelled-series.ts';
import { adaptive, type Scorer, zScore } from './scorers.ts';

const EXIT_CANNOT_START = 2;

/** The thresholds of the comparison are five and eight standard deviations, as the z-score detector's defaults are. */
const DETECTORS: Record<string, { readonly scorer: Scorer; readonly warning: number; readonly critical: number }> = {
  adaptive: { scorer: adaptive, ...THRESHOLDS },
  'z-score': { scorer: zScore, warning: 6.24, critical: 14.9 },
};

interface Options {
  readonly datasets: string;
  readonly detector: string;
  readonly warning?: string;
  readonly critical?: string;
  readonly keep?: string;
  readonly json?: true;
}

const options = new Command('score')
  .description(
    'Runs the detectors over labelled collections and prints how well they do, by the scorer beside the collections.',
  )
  .option('--datasets <folder>', 'folder of collections', process.env['FLOORWATCH_DATASETS'] ?? '../shared/datasets')
  .addOption(new Option('--detector <name>', 'what to score').choices(Object.keys(DETECTORS)).default('adaptive'))
  .option('--warning <decades>', 'threshold of a warning instead of the shipped one')
  .option('--critical <decades>', 'threshold of a critical anomaly instead of the shipped one')
  .option('--keep <folder>', 'write the scores of every reading there, and keep them')
  .option('--json', 'print the figures as JSON')
  .parse()
  .opts<Options>();

process.exitCode = main(options);

function main({ datasets, detector, keep, ...rest }: Options): number {
  const folder = path.resolve(datasets);
  const tool = path.join(folder, '../tools/score-all.mjs');
  for (const needed of [folder, tool]) {
    if (existsSync(needed)) continue;
    process.stderr.write(
      `${needed} does not exist. Give the folder of the collections with --datasets or FLOORWATCH_DATASETS; ` +
        `the scorer is looked for beside it, in tools/score-all.mjs.\n`,
    );
    return EXIT_CANNOT_START;
  }
  const chosen = DETECTORS[detector]!;
  const results = keep === undefined ? mkdtempSync(path.join(tmpdir(), 'floorwatch-score-')) : path.resolve(keep);
  try {
    for (const collection of collectionsIn(folder))
      scoreCollection(path.join(folder, collection), path.join(results, collection), chosen.scorer);
    const thresholds = [
      '--warning',
      rest.warning ?? `${chosen.warning}`,
      '--critical',
      rest.critical ?? `${chosen.critical}`,
    ];
    const json = rest.json === true ? ['--json'] : [];
    const table = execFileSync(process.execPath, [tool, results, ...thresholds, '--datasets', folder, ...json], {
      encoding: 'utf8',
    });
    process.stdout.write(table);
    return 0;
  } finally {
    if (keep === undefined) rmSync(results, { recursive: true, force: true });
  }
}

function scoreCollection(collection: string, results: string, scorer: Scorer): void {
  const name = path.basename(collection);
  let series = 0;
  let readings = 0;
  const started = performance.now();
  for (const one of seriesOf(collection)) {
    const scores = new Float64Array(one.values.length);
    scorer(one, scores);
    writeScores(results, one, scores);
    series += 1;
    readings += scores.length;
    if (process.stderr.isTTY) process.stderr.write(`\r${name}: ${series} series, ${readings} readings`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stderr.write(
    `${process.stderr.isTTY ? '\r' : ''}${name}: ${series} series, ${readings} readings in ${seconds} s\n`,
  );
}

function writeScores(results: string, { name, keys }: LabelledSeries, scores: Float64Array): void {
  const file = path.join(results, name.endsWith('.csv') ? name : `${name}.csv`);
  mkdirSync(path.dirname(file), { recursive: true });
  const rows = keys.map((key, index) => `${key},${scores[index]}`);
  writeFileSync(file, `timestamp,anomaly_score\n${rows.join('\n')}\n`);
}
