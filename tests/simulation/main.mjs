// `npm run simulate`: runs as many seeds as asked. The same test runs the first 200 in `npm test`.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { plant } from '../chaos/planted-bugs/plant.mjs';
import { plantedBugs } from './planted-bugs.mjs';

const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
const SEED_MAX = 2 ** 31 - 1;

const root = fileURLToPath(new URL('../..', import.meta.url));

const HELP = `usage: npm run simulate -- [--seeds <n>] [--seed <n>] [--json]
       npm run simulate -- --plant <bug>|all [--seeds <n>] [--json]

Runs gateways, a stream, a processor and a store in virtual time, with faults, crashes and lost messages that a seed decides, and shows
that every reading is counted once (docs/simulation.md).

  --seeds <n>    how many seeds, 1 to 1000000; default 500. With --plant: how many at most until the bug is found, default 1000
  --seed <n>     the first one, 0 to ${SEED_MAX}; default 1. The same seed does the same again
  --plant <bug>  puts a bug into a copy of the repository and runs seeds until one fails; all, or one of
                 ${plantedBugs.map(({ name }) => name).join(', ')}
  --json         prints one JSON object with the outcome on standard output, and everything else on standard error

Ends with 0 if everything held (every planted bug was found), 1 if something did not, 2 if the command line is wrong.`;

const options = readOptions();
process.exitCode = options.bug === undefined ? await run(options) : runPlanted(options);

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        seeds: { type: 'string' },
        seed: { type: 'string', default: '1' },
        plant: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    fail(error.message);
  }
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    process.exit(0);
  }
  const bugs = ['all', ...plantedBugs.map(({ name }) => name)];
  if (values.plant !== undefined && !bugs.includes(values.plant))
    fail(`--plant must be one of ${bugs.join(', ')}; it is ${values.plant}`);
  return {
    bug: values.plant,
    json: values.json,
    seeds: wholeNumber('seeds', values.seeds ?? (values.plant === undefined ? '500' : '1000'), 1, 1_000_000),
    seed: wholeNumber('seed', values.seed, 0, SEED_MAX),
  };
}

function wholeNumber(name, text, min, max) {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < min || number > max)
    fail(`--${name} must be a whole number from ${min} to ${max}; it is ${text}`);
  return number;
}

async function run({ seeds, seed, json }) {
  const folder = mkdtempSync(join(tmpdir(), 'floorwatch-simulation-'));
  const resultFile = join(folder, 'failed.ndjson');
  try {
    const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', 'tests/simulation'], {
      cwd: root,
      env: { ...process.env, FLOORWATCH_SIMULATION: JSON.stringify({ seeds, seed, resultFile }) },
      stdio: ['ignore', json ? process.stderr : 'inherit', 'inherit'],
    });
    const [code, signal] = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...how) => resolve(how));
    });
    const failed = failures(resultFile);
    if (json)
      process.stdout.write(`${JSON.stringify({ seeds, seed, outcome: code === 0 ? 'held' : 'failed', failed })}\n`);
    return signal === null ? Math.min(code, 1) : EXIT_INTERRUPTED;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The seeds that failed, with what went wrong. */
function failures(file) {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line));
}

function runPlanted({ bug, seeds, seed, json }) {
  const folder = mkdtempSync(join(tmpdir(), 'floorwatch-simulation-'));
  try {
    const resultOf = (name) => join(folder, name);
    const bugs = plantedBugs.map((one) => {
      const asked = { seeds, seed, resultFile: resultOf(one.name), untilFailure: true };
      return Object.assign({ environment: { FLOORWATCH_SIMULATION: JSON.stringify(asked) } }, one);
    });
    const outcomes = plant(bug, (text) => process.stderr.write(`  ${text}\n`), bugs).map((planted) => {
      const [found] = failures(resultOf(planted.bug));
      return Object.assign(planted, { seed: found?.seed ?? null, failure: found?.failures[0] ?? null });
    });
    if (json) process.stdout.write(`${JSON.stringify({ planted: outcomes })}\n`);
    else
      for (const { outcome, bug: name, seed: at, failure } of outcomes)
        process.stdout.write(`${outcome}: ${name}${at === null ? '' : ` at seed ${at}: ${failure.slice(0, 200)}`}\n`);
    return outcomes.every(({ outcome }) => outcome === 'caught') ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function fail(message) {
  process.stderr.write(`${message}\n\n${HELP}\n`);
  process.exit(EXIT_USAGE);
}
