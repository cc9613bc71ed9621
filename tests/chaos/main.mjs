// `npm run chaos`: runs one scenario as long as asked. The same files run short in `npm test`.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { plantedBugs } from './planted-bugs/bugs.mjs';
import { plant } from './planted-bugs/plant.mjs';

const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
const SEED_MAX = 2 ** 31 - 1;

const root = fileURLToPath(new URL('../..', import.meta.url));
const scenarios = readdirSync(join(root, 'tests/chaos'))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => name.slice(0, -'.test.ts'.length))
  .toSorted();

const HELP = `usage: npm run chaos -- [--scenario <name>] [--rounds <n>] [--seed <n>] [--json]
       npm run chaos -- --plant <bug>|all [--json]

Disturbs running programs on purpose and shows that nothing is lost and nothing is counted twice (docs/chaos.md).

  --scenario <name>  ${scenarios.join(', ')}; default: kill-9
  --rounds <n>       how often it disturbs, where a scenario repeats; default: as in npm test
  --seed <n>         of every random decision, 0 to ${SEED_MAX}; default: another one every time, which is printed
  --plant <bug>      puts a bug into a copy of the repository and runs the test that must fail then; all, or one of
                     ${plantedBugs.map(({ name }) => name).join(', ')}
  --json             prints one JSON object with the figures and the outcome on standard output, and everything else on standard error

Ends with 0 if everything held (every planted bug was caught), 1 if something did not, 2 if the command line is wrong.
Scenarios that need root (power-cuts, disk-full) are skipped, and say so, where they can't run.`;

const options = readOptions();
process.exitCode = options.bug === undefined ? await run(options) : runPlanted(options);

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        scenario: { type: 'string', default: 'kill-9' },
        plant: { type: 'string' },
        rounds: { type: 'string' },
        seed: { type: 'string' },
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
  if (values.plant !== undefined) {
    const bugs = ['all', ...plantedBugs.map(({ name }) => name)];
    if (!bugs.includes(values.plant)) fail(`--plant must be one of ${bugs.join(', ')}; it is ${values.plant}`);
    return { bug: values.plant, json: values.json };
  }
  if (!scenarios.includes(values.scenario))
    fail(`--scenario must be one of ${scenarios.join(', ')}; it is ${values.scenario}`);
  return {
    scenario: values.scenario,
    rounds: wholeNumber('rounds', values.rounds, 1, 100_000),
    seed: wholeNumber('seed', values.seed, 0, SEED_MAX),
    json: values.json,
  };
}

function wholeNumber(name, text, min, max) {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < min || number > max)
    fail(`--${name} must be a whole number from ${min} to ${max}; it is ${text}`);
  return number;
}

async function run({ scenario, rounds, seed, json }) {
  const folder = mkdtempSync(join(tmpdir(), 'floorwatch-chaos-'));
  const resultFile = join(folder, 'result.ndjson');
  try {
    const file = `tests/chaos/${scenario}.test.ts`;
    const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', file], {
      cwd: root,
      env: { ...process.env, FLOORWATCH_CHAOS: JSON.stringify({ rounds, seed, resultFile }) },
      stdio: ['ignore', json ? process.stderr : 'inherit', 'inherit'],
    });
    const [code, signal] = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...how) => resolve(how));
    });
    if (json) process.stdout.write(`${JSON.stringify(outcome(scenario, code, resultFile))}\n`);
    return signal === null ? Math.min(code, 1) : EXIT_INTERRUPTED;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runPlanted({ bug, json }) {
  const outcomes = plant(bug, (text) => process.stderr.write(`  ${text}\n`));
  const isCaught = outcomes.every(({ outcome: of }) => of === 'caught');
  if (json) process.stdout.write(`${JSON.stringify({ planted: outcomes })}\n`);
  else for (const one of outcomes) process.stdout.write(`${one.outcome}: ${one.bug} (${one.file}: ${one.test})\n`);
  return isCaught ? 0 : 1;
}

function outcome(scenario, code, resultFile) {
  const results = existsSync(resultFile)
    ? readFileSync(resultFile, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : [];
  if (code !== 0) return { scenario, outcome: 'failed', results };
  return { scenario, outcome: results.length === 0 ? 'skipped' : 'held', results };
}

function fail(message) {
  process.stderr.write(`${message}\n\n${HELP}\n`);
  process.exit(EXIT_USAGE);
}
