// `npm run mutants`: plants mistakes all over the product, one after the other, and runs the unit test that must fail for each.
import { CommandLine } from '../support/scenario-command.mjs';
import { plant } from './plant.mjs';
import { plantedBugs } from './unit-bugs.mjs';

const HELP = `usage: npm run mutants -- [--plant <bug>|all] [--json]

Puts a mistake into a copy of the repository and runs the unit test that must fail then (docs/planted-bugs.md).

  --plant <bug>  all (default), or one of
                 ${plantedBugs.map(({ name }) => name).join(', ')}
  --json         prints one JSON object with the outcome on standard output, and everything else on standard error

Ends with 0 if every one was caught, 1 if one was not, 2 if the command line is wrong.`;

const line = new CommandLine(HELP, { plant: { type: 'string', default: 'all' } });
const bug = line.oneOf('plant', ['all', ...plantedBugs.map(({ name }) => name)]);
const outcomes = plant(bug, (text) => process.stderr.write(`  ${text}\n`), plantedBugs);
if (line.values.json) process.stdout.write(`${JSON.stringify({ planted: outcomes })}\n`);
else for (const one of outcomes) process.stdout.write(`${one.outcome}: ${one.bug} (${one.file}: ${one.test})\n`);
process.exitCode = outcomes.every(({ outcome }) => outcome === 'caught') ? 0 : 1;
