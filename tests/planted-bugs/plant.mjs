// Puts bugs into a copy of the repository and runs the tests that must notice them there.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { planted } from './place.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** So much of a failure is told. */
const FAILURE_LINES_MAX = 8;
const BUILT = ['edge-agent', 'cloud-processor', 'deploy/servers'];

/**
 * Plants bugs one after the other.
 *
 * @param name of one bug, or `all`.
 * @param from the bugs to choose from.
 * @returns what became of each: `caught` if the named test passes without it and fails with it, `missed` if it passes with it too.
 */
export function plant(name, say, from) {
  const bugs = from.filter((bug) => name === 'all' || bug.name === name);
  const copy = mkdtempSync(join(tmpdir(), 'floorwatch-planted-'));
  try {
    say('copying the repository');
    copyRepository(copy);
    const sound = new Map();
    return bugs.map((bug) => {
      say(`${bug.name}: planted, running "${bug.test}" of ${bug.file}`);
      const outcome = tryBug(copy, say, bug, sound);
      say(`${bug.name}: ${outcome}`);
      return { bug: bug.name, test: bug.test, file: bug.file, outcome };
    });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Every file that is not ignored, and the installed packages by links; those of the workspaces lead into the copy. */
function copyRepository(copy) {
  const listed = run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], root);
  if (listed.status !== 0) throw new Error(`git can't list the files: ${listed.stderr}`);
  for (const file of listed.stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path)))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file), { verbatimSymlinks: true });
  }
  const [from, to] = [join(root, 'node_modules'), join(copy, 'node_modules')];
  mkdirSync(to);
  for (const entry of readdirSync(from)) {
    if (entry === '@floorwatch')
      cpSync(join(from, entry), join(to, entry), { recursive: true, verbatimSymlinks: true });
    else if (entry !== '.cache' && !entry.startsWith('.vite')) symlinkSync(join(from, entry), join(to, entry));
  }
}

/** In words what became of it. A bug that can't be planted any more is told, and the others are tried. */
function tryBug(copy, say, bug, sound) {
  const { environment = {}, soundEnvironment = environment } = bug;
  const key = JSON.stringify([bug.file, bug.test, bug.rounds, soundEnvironment]);
  // A test that fails anyway notices nothing.
  if (!sound.has(key)) sound.set(key, buildAndTest(copy, say, { ...bug, environment: soundEnvironment }));
  if (sound.get(key) !== 'passed') return `without the bug: ${sound.get(key)}`;
  const changed = new Map();
  try {
    for (const edit of bug.edits) {
      const { file, text } = planted(copy, edit, (source) => changed.get(source) ?? readFileSync(source, 'utf8'));
      changed.set(file, text);
    }
  } catch (error) {
    return `not planted: ${error.message}`;
  }
  const originals = [...changed.keys()].map((source) => [source, readFileSync(source, 'utf8')]);
  try {
    for (const [source, text] of changed) writeFileSync(source, text);
    const result = buildAndTest(copy, say, bug);
    return { failed: 'caught', passed: 'missed' }[result] ?? result;
  } finally {
    for (const [source, text] of originals) writeFileSync(source, text);
  }
}

/** `passed`, `failed`, or why neither can be said. */
function buildAndTest(copy, say, { file, test, rounds, environment, runsSources = false }) {
  if (!runsSources) {
    const built = run(process.execPath, ['node_modules/typescript/bin/tsc', '-b', ...BUILT], copy);
    if (built.status !== 0) return `it does not compile\n${built.stdout}`;
  }
  const report = join(copy, 'report.json');
  rmSync(report, { force: true });
  const env = { ...process.env, ...environment, FLOORWATCH_TEST_REPORT: report };
  // Scenarios repeat as often as the bug needs to show, and a slow machine is no bug.
  if (rounds !== undefined) env.FLOORWATCH_CHAOS = JSON.stringify({ rounds, timed: false });
  const pattern = test.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const ran = run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', file, '-t', pattern], copy, env);
  if (!existsSync(report)) return `the test did not run\n${ran.stdout}\n${ran.stderr}`;
  const results = JSON.parse(readFileSync(report, 'utf8')).testResults.flatMap(
    ({ assertionResults }) => assertionResults,
  );
  const named = results.filter(
    ({ fullName, status }) => fullName.includes(test) && (status === 'passed' || status === 'failed'),
  );
  if (named.length === 0) return 'the named test did not run';
  const failed = named.find(({ status }) => status === 'failed');
  if (failed === undefined) return 'passed';
  say(`it fails: ${failed.failureMessages.join(' ').split('\n').slice(0, FAILURE_LINES_MAX).join(' ')}`);
  return 'failed';
}

const run = (command, args, cwd, env = process.env) =>
  spawnSync(command, args, { cwd, env, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
