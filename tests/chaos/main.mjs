// `npm run chaos`: runs one scenario as long as asked. The same files run short in `npm test`.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const EXIT_USAGE = 2;
const EXIT_INTERRUPTED = 130;
const SEED_MAX = 2 ** 31 - 1;

const root = fileURLToPath(new URL('../..', import.meta.url));
const scenarios = readdirSync(join(root, 'tests/chaos'))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => name.slice(0, -'.test.ts'.length))
  .toSorted();

const HELP = `usage: npm run chaos -- --scenario <name> [--rounds <n>] [--seed <n>] [--json]

Disturbs running programs on purpose and shows that nothing is lost and nothing is counted twice (docs/chaos.md).

  --scenario <name>  ${scenarios.join(', ')}
  --rounds <n>       how often it disturbs, where a scenario repeats; default: as in npm test
  --seed <n>         of every random decision, 0 to ${SEED_MAX}; default: another one every time, which is printed
  --json             prints one JSON object with the figures and the outcome on standard output, and everything else on standard error

Ends with 0 if everything held, 1 if something did not, 2 if the command line is wrong.
Scenarios that need root (power-cuts, disk-full) are skipped, and say so, where they can't run.`;

const options = readOptions();
process.exitCode = await run(options);

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        scenario: { type: 'string' },
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
  if (!scenarios.includes(values.scenario))
    fail(`--scenario must be one of ${scenarios.join(', ')}; it is ${values.scenario ?? 'missing'}`);
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
