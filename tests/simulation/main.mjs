// `npm run simulate`: runs as many seeds as asked. The same test runs the first 500 in `npm test`.
import { join } from 'node:path';

import { plant } from '../planted-bugs/plant.mjs';
import { CommandLine, readLines, runTests, SEED_MAX, withFolder } from '../support/scenario-command.mjs';
import { plantedBugs } from './planted-bugs.mjs';

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

const line = new CommandLine(HELP, {
  seeds: { type: 'string' },
  seed: { type: 'string', default: '1' },
  plant: { type: 'string' },
});
const { json } = line.values;
const bug = line.oneOf('plant', ['all', ...plantedBugs.map(({ name }) => name)]);
const seeds = line.wholeNumber('seeds', 1, 1_000_000) ?? (bug === undefined ? 500 : 1_000);
const seed = line.wholeNumber('seed', 0, SEED_MAX);
process.exitCode = await withFolder(bug === undefined ? run : runPlanted);

async function run(folder) {
  const resultFile = join(folder, 'failed.ndjson');
  const environment = { FLOORWATCH_SIMULATION: JSON.stringify({ seeds, seed, resultFile }) };
  const code = await runTests('tests/simulation', environment, json);
  // The seeds that failed, with what went wrong.
  const failed = readLines(resultFile);
  const outcome = code === 0 ? 'held' : 'failed';
  if (json) process.stdout.write(`${JSON.stringify({ seeds, seed, outcome, failed })}\n`);
  return code;
}

function runPlanted(folder) {
  const resultOf = (name) => join(folder, name);
  const environmentOf = (asked) => ({ FLOORWATCH_SIMULATION: JSON.stringify({ seeds, seed, ...asked }) });
  const soundEnvironment = environmentOf({});
  const bugs = plantedBugs.map((one) => {
    const environment = environmentOf({ resultFile: resultOf(one.name), untilFailure: true });
    return Object.assign({ environment, soundEnvironment }, one);
  });
  const outcomes = plant(bug, (text) => process.stderr.write(`  ${text}\n`), bugs).map((planted) => {
    const [found] = readLines(resultOf(planted.bug));
    return Object.assign(planted, { seed: found?.seed ?? null, failure: found?.failures[0] ?? null });
  });
  if (json) process.stdout.write(`${JSON.stringify({ planted: outcomes })}\n`);
  else
    for (const { outcome, bug: name, seed: at, failure } of outcomes)
      process.stdout.write(`${outcome}: ${name}${at === null ? '' : ` at seed ${at}: ${failure.slice(0, 200)}`}\n`);
  return outcomes.every(({ outcome }) => outcome === 'caught') ? 0 : 1;
}
