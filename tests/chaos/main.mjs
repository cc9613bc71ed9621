// `npm run chaos`: runs one scenario as long as asked. The same files run short in `npm test`.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { CommandLine, readLines, root, runTests, SEED_MAX, withFolder } from '../support/scenario-command.mjs';
import { plantedBugs } from './planted-bugs.mjs';
import { plant } from '../planted-bugs/plant.mjs';

const namesIn = (folder, end) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(end))
    .map((name) => name.slice(0, -end.length))
    .toSorted();

const HOSTILE = 'hostile-';
const hostile = namesIn('tests/hostile/cases', '.ts')
  .filter((name) => name !== 'index')
  .map((name) => HOSTILE + name);
const scenarios = [...namesIn('tests/chaos', '.test.ts'), ...hostile];

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
Scenarios that need root (power-cuts, nats-power-cuts, disk-full) or influxd (kill-store, kill-two) are skipped, and say so, where they
can't run. Durations are judged only where the machine has little else to do: at most two processes that want to run per core.`;

const line = new CommandLine(HELP, {
  scenario: { type: 'string', default: 'kill-9' },
  plant: { type: 'string' },
  rounds: { type: 'string' },
  seed: { type: 'string' },
});
const { json } = line.values;
const bug = line.oneOf('plant', ['all', ...plantedBugs.map(({ name }) => name)]);
process.exitCode = bug === undefined ? await run() : runPlanted();

async function run() {
  const scenario = line.oneOf('scenario', scenarios);
  const asked = { rounds: line.wholeNumber('rounds', 1, 100_000), seed: line.wholeNumber('seed', 0, SEED_MAX) };
  return withFolder(async (folder) => {
    const resultFile = join(folder, 'result.ndjson');
    const environment = { FLOORWATCH_CHAOS: JSON.stringify({ ...asked, scenario, resultFile }) };
    const file = scenario.startsWith(HOSTILE) ? 'tests/hostile/hostile.test.ts' : `tests/chaos/${scenario}.test.ts`;
    const code = await runTests(file, environment, json);
    const results = readLines(resultFile);
    const held = results.length === 0 ? 'skipped' : 'held';
    if (json) process.stdout.write(`${JSON.stringify({ scenario, outcome: code === 0 ? held : 'failed', results })}\n`);
    return code;
  });
}

function runPlanted() {
  const outcomes = plant(bug, (text) => process.stderr.write(`  ${text}\n`), plantedBugs);
  if (json) process.stdout.write(`${JSON.stringify({ planted: outcomes })}\n`);
  else for (const one of outcomes) process.stdout.write(`${one.outcome}: ${one.bug} (${one.file}: ${one.test})\n`);
  return outcomes.every(({ outcome }) => outcome === 'caught') ? 0 : 1;
}
