// The first step of `npm start`, `npm test` and `npm run test:unit`, `bench`, `chaos`, `mutants` or `simulate`, in plain JavaScript without
// packages: it makes sure that Node is new enough, that packages are installed and that what the job needs is built, and then does it.
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const NODE_MIN = [20, 19];
const EXIT_CANNOT_START = 2;
const EXIT_INTERRUPTED = 130;

const root = fileURLToPath(new URL('../..', import.meta.url));
const stamp = join(root, 'node_modules/.cache/floorwatch-built');
const [job = '', ...parameters] = process.argv.slice(2);
process.chdir(root);

const jobs = {
  start: async () => {
    build('start');
    process.argv = [process.argv[0], join(root, 'deploy/local/dist/main.js'), ...parameters];
    await import(pathToFileURL(process.argv[1]).href);
  },
  test: async () => {
    build('test');
    run('nats-server', process.execPath, ['deploy/servers/dist/main.js', 'find', 'nats-server'], 'ignore');
    await runAll('the tests', ['node_modules/vitest/vitest.mjs', 'run', ...parameters]);
  },
  // They run the sources, so nothing has to be built.
  'test-unit': async () => {
    const unit = ['--project', 'unit', '--tags-filter', '!long'];
    await runAll('the tests', ['node_modules/vitest/vitest.mjs', 'run', ...unit, ...parameters]);
  },
  bench: async () => {
    build('test');
    run('nats-server', process.execPath, ['deploy/servers/dist/main.js', 'find', 'nats-server'], 'ignore');
    const config = ['--config', 'vitest.bench.config.ts'];
    await runAll('the benchmarks', ['node_modules/vitest/vitest.mjs', 'run', ...config, ...parameters]);
  },
  chaos: async () => {
    build('test');
    run('nats-server', process.execPath, ['deploy/servers/dist/main.js', 'find', 'nats-server'], 'ignore');
    await runAll('the scenario', ['tests/chaos/main.mjs', ...parameters]);
  },
  mutants: async () => {
    await runAll('the planted bugs', ['tests/planted-bugs/main.mjs', ...parameters]);
  },
  simulate: async () => {
    build('test');
    await runAll('the simulation', ['tests/simulation/main.mjs', ...parameters]);
  },
};

checkNode();
if (!Object.hasOwn(jobs, job))
  fail(`usage: node deploy/local/bootstrap.mjs ${Object.keys(jobs).join('|')} [arguments]`);
if (!hasPackages()) {
  say('installing packages with npm ci (once)');
  run('npm ci', 'npm', ['ci', '--no-audit', '--no-fund']);
}
await jobs[job]();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  fail(`Node ${NODE_MIN.join('.')} or newer is needed, this is ${process.versions.node} (see https://nodejs.org)`);
}

/** Whether what is installed is what the lock file says, version by version. */
function hasPackages() {
  let installed;
  try {
    installed = JSON.parse(readFileSync(join(root, 'node_modules/.package-lock.json'), 'utf8')).packages;
  } catch {
    return false;
  }
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional, link }]) => {
    if (!path.includes('node_modules/')) return true;
    const found = installed[path];
    // Optional packages are often for other systems.
    if (found === undefined) return optional === true;
    return found.version === version && (link !== true || existsSync(join(root, path)));
  });
}

/**
 * Compiles what has changed; does nothing when no source is newer than the last build of this kind.
 *
 * @param kind `start` compiles the programs; `test` checks the tests as well.
 */
function build(kind) {
  const built = readStamp();
  const newest = newestChange(root);
  const hasPrograms = ['edge-agent', 'cloud-processor', 'simulator', 'deploy/local', 'deploy/servers'].every((folder) =>
    existsSync(join(root, folder, 'dist/main.js')),
  );
  if (hasPrograms && built[kind] >= newest) return;
  say('building');
  const projects = kind === 'test' ? ['.'] : ['edge-agent', 'cloud-processor', 'simulator', 'deploy/local'];
  run('the build', process.execPath, ['node_modules/typescript/bin/tsc', '-b', ...projects]);
  run('the build', 'npm', ['run', 'build', '--workspaces', '--if-present', '--silent']);
  linkPrograms();
  mkdirSync(join(root, 'node_modules/.cache'), { recursive: true });
  // What tests need holds all that programs need.
  writeFileSync(stamp, JSON.stringify(kind === 'test' ? { start: newest, test: newest } : { ...built, start: newest }));
}

/** Lets `npx floorwatch-agent` and the like find the programs: when npm installed the packages there was nothing to link to yet. */
function linkPrograms() {
  try {
    accessSync(join(root, 'node_modules/.bin/floorwatch-agent'), constants.X_OK);
  } catch {
    run('npm rebuild', 'npm', ['rebuild', '--ignore-scripts', '--silent']);
  }
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stamp, 'utf8'));
  } catch {
    return {};
  }
}

/** Time of the last change of any file that is written by hand, in milliseconds. */
function newestChange(folder) {
  let newest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.') || entry.name === 'node_modules' || entry.name === 'dist') continue;
    const path = join(folder, entry.name);
    const changed = entry.isDirectory() ? newestChange(path) : statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    newest = Math.max(newest, changed ?? 0);
  }
  return newest;
}

/** Runs a command; if it fails, this program ends with its exit code. */
function run(what, command, args, stdout = 'inherit') {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: ['inherit', stdout, 'inherit'] });
  if (error !== undefined) fail(`${what} can't be started: ${error.message}`);
  // A signal of the terminal reached that command too, which has said what there is to say.
  if (signal !== null) process.exit(EXIT_INTERRUPTED);
  if (status !== 0) process.exit(status);
}

/** As {@link run}, for programs that start others, which must not outlive this one. */
async function runAll(what, args) {
  // Here, because a Node that is too old may not be able to read it.
  const { runGroup } = await import('./process-group.mjs');
  try {
    const { code, signal } = await runGroup(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (signal !== null) process.exit(EXIT_INTERRUPTED);
    if (code !== 0) process.exit(code);
  } catch (error) {
    fail(`${what} can't be started: ${error.message}`);
  }
}

function say(message) {
  process.stderr.write(`floorwatch: ${message}\n`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(EXIT_CANNOT_START);
}
