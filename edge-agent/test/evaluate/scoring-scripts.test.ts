import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { findScripts, KNOWN_COLLECTIONS, scoreResults, type ScoringRun } from '../../src/evaluate/scoring-scripts.ts';

// The scripts are programs, which the tested code starts with node:child_process.
let scripts = '';
beforeEach(() => {
  scripts = mkdtempSync(path.join(tmpdir(), 'scoring-scripts-'));
  // What the scripts are called with is what they answer.
  put('score-all.mjs', 'console.log(process.argv.slice(2).join(" "))');
  put(
    'score-events.mjs',
    'const f1 = process.argv[2].length / 100;' +
      'console.log(JSON.stringify({ f1, precision: 0.5, recall: 0.25, found: 3, events: 12, falseAlarms: Number(process.argv[7]) }))',
  );
});
afterEach(() => rmSync(scripts, { recursive: true, force: true }));

const put = (name: string, source: string): void => writeFileSync(path.join(scripts, name), source);
const run = (collections: readonly string[], json = false): ScoringRun => ({
  datasets: '/sets',
  results: '/results',
  collections,
  warning: 1.2,
  critical: 3,
  json,
});

it('takes the first folder that has the scripts, and says where it looked', () => {
  mkdirSync(path.join(scripts, 'empty'));
  expect(findScripts([path.join(scripts, 'empty'), scripts])).toBe(scripts);
  expect(() => findScripts([path.join(scripts, 'empty'), '/nowhere'])).toThrow(/empty nor in \/nowhere.+--tools/);
});

it('leaves all collections to the script that tells the total', () => {
  expect(scoreResults(scripts, run(KNOWN_COLLECTIONS, true))).toBe(
    '/results --warning 1.2 --critical 3 --datasets /sets --json\n',
  );
});

it('scores those that there are, without a total', () => {
  const some = ['river-sensors', 'iot-synthetic'];
  expect(scoreResults(scripts, run(some))).toBe(
    'river-sensors          F1 13.0  precision 50.0  recall 25.0  found 3/12  false 3\n' +
      'iot-synthetic          F1 13.0  precision 50.0  recall 25.0  found 3/12  false 3\n',
  );
  expect(JSON.parse(scoreResults(scripts, run(some, true)))).toEqual({
    total: null,
    f1: { 'river-sensors': 13, 'iot-synthetic': 13 },
    warning: 1.2,
    critical: 3,
  });
});

it('says why a script cannot score', () => {
  put('score-events.mjs', 'throw new Error("x: 3 result rows for 4 readings")');
  expect(() => scoreResults(scripts, run(['river-sensors']))).toThrow(
    'score-events.mjs cannot score the results: x: 3 result rows for 4 readings',
  );
});
