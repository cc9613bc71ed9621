#!/usr/bin/env node
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Command, InvalidArgumentError, Option } from 'commander';

import { THRESHOLDS } from '../score/adaptive/parameters.ts';
import { collectionsIn, type LabelledSeries, SeriesError, seriesOf } from './labelled-series.ts';
import { adaptive, type Scorer, zScore } from './scorers.ts';
import { findScripts, KNOWN_COLLECTIONS, scoreResults, ScoringError } from './scoring-scripts.ts';

const EXIT_CANNOT_START = 2;

/** Where the scorer is when it is not beside the collections, seen from where `npm run score` runs. */
const TOOLS = '../shared/tools';

/** The thresholds of the comparison are five and eight standard deviations, as the z-score detector's defaults are. */
const DETECTORS: Record<string, { readonly scorer: Scorer; readonly warning: number; readonly critical: number }> = {
  adaptive: { scorer: adaptive, ...THRESHOLDS },
  'z-score': { scorer: zScore, warning: 6.24, critical: 14.9 },
};

interface Options {
  readonly datasets: string;
  readonly detector: string;
  readonly tools?: string;
  readonly warning?: number;
  readonly critical?: number;
  readonly keep?: string;
  readonly json?: true;
}

const options = new Command('score')
  .description(
    'Runs the detectors over labelled collections and prints how well they do, by the scorer beside the collections.',
  )
  .option('--datasets <folder>', 'folder of collections', process.env['FLOORWATCH_DATASETS'] ?? '../shared/datasets')
  .option('--tools <folder>', `folder of the scorer, if it is neither beside the collections nor in ${TOOLS}`)
  .addOption(new Option('--detector <name>', 'what to score').choices(Object.keys(DETECTORS)).default('adaptive'))
  .option('--warning <decades>', 'threshold of a warning instead of the shipped one', threshold)
  .option('--critical <decades>', 'threshold of a critical anomaly instead of the shipped one', threshold)
  .option('--keep <folder>', 'write the scores of every reading there, and keep them')
  .option('--json', 'print the figures as JSON')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT_CANNOT_START))
  .parse()
  .opts<Options>();

try {
  main(options);
} catch (error) {
  if (!(error instanceof SeriesError || error instanceof ScoringError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = EXIT_CANNOT_START;
}

function main({ datasets, tools, detector, keep, warning, critical, json }: Options): void {
  const folder = path.resolve(datasets);
  const found = collectionsIn(folder);
  const collections = KNOWN_COLLECTIONS.filter((name) => found.includes(name));
  for (const name of found.filter((other) => !KNOWN_COLLECTIONS.includes(other)))
    process.stderr.write(`${name} is left out: the scorer knows ${KNOWN_COLLECTIONS.join(', ')}.\n`);
  if (collections.length === 0) {
    throw new SeriesError(
      `${folder} holds none of ${KNOWN_COLLECTIONS.join(', ')}, each a folder with labels.json and data. Give the folder of the ` +
        'collections with --datasets or FLOORWATCH_DATASETS.',
    );
  }
  const scripts = findScripts(tools === undefined ? [path.join(folder, '../tools'), TOOLS] : [tools]);
  const chosen = DETECTORS[detector]!;
  const results = keep === undefined ? mkdtempSync(path.join(tmpdir(), 'floorwatch-score-')) : path.resolve(keep);
  try {
    for (const collection of collections)
      scoreCollection(path.join(folder, collection), path.join(results, collection), chosen.scorer);
    const thresholds = { warning: warning ?? chosen.warning, critical: critical ?? chosen.critical };
    process.stdout.write(
      scoreResults(scripts, { datasets: folder, results, collections, ...thresholds, json: json === true }),
    );
    const missing = KNOWN_COLLECTIONS.filter((name) => !collections.includes(name));
    if (missing.length > 0) process.stderr.write(`No total without ${missing.join(', ')}.\n`);
  } finally {
    if (keep === undefined) rmSync(results, { recursive: true, force: true });
  }
}

function threshold(text: string): number {
  const decades = Number(text);
  if (text.trim() === '' || !Number.isFinite(decades) || decades <= 0)
    throw new InvalidArgumentError('It must be a number of decades above 0, such as 3.');
  return decades;
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
