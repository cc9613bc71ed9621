import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** Folders whose tests are about one workspace each; those of `tests/` are about several programs together. */
const FOLDERS = [
  'contracts/test',
  'segment-log/test',
  'runtime/test',
  'edge-agent/test',
  'cloud-processor/test',
  'simulator/test',
  'dashboards/test',
  'deploy/servers/test',
  'deploy/local/test',
  'deploy/compose/test',
  'tests/docs',
  'tests/planted-bugs',
  'tests/support',
];

/**
 * What starts a program, by its own means or by those of `tests/support`, and what puts modules in the place of others, which needs a process
 * of its own. Where it is the tested code that starts programs, a comment that names `child_process` says so.
 */
const NEEDS_A_PROCESS =
  /\bchild_process\b|\.(?:nats|influxd|program)\(|\b(?:ChildProgram|startNatsServer|startInfluxd)\b|\bvi\.(?:mock|doMock|resetModules)\(/;

/** Helpers that can start programs, for those who call them. */
const HELPERS = 'tests/support';

const IMPORTED = /\b(?:from|import)\s*\(?\s*'(\.[^']+\.(?:ts|mjs))'/g;

/**
 * The test files that need no process besides the one that runs them all: `npm run test:unit`. Found by reading them and the helpers that they
 * import, so that nobody has to say it of a new file; `unit-guard.ts` sees to it that it is true.
 *
 * @param root folder of the repository.
 * @returns paths relative to it, in order.
 */
export function unitTests(root: string): readonly string[] {
  return FOLDERS.flatMap((folder) => testFiles(join(root, folder)))
    .filter((file) => whyNotUnit(file, root) === undefined)
    .map((file) => relative(root, file))
    .toSorted();
}

function testFiles(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.test.ts')).map((name) => join(folder, name));
}

/** Where a test file, or a helper that it imports, needs another process; undefined: nowhere. */
export function whyNotUnit(file: string, root: string, seen = new Set<string>()): string | undefined {
  if (seen.has(file)) return undefined;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  const found = NEEDS_A_PROCESS.exec(text);
  if (found !== null) return `${relative(root, file)}: ${found[0]}`;
  for (const [, name = ''] of text.matchAll(IMPORTED)) {
    const imported = resolve(dirname(file), name);
    const isHelper = existsSync(imported) && isOfTests(relative(root, imported));
    const why = isHelper ? whyNotUnit(imported, root, seen) : undefined;
    if (why !== undefined) return why;
  }
  return undefined;
}

const isOfTests = (path: string): boolean => /(?:^|\/)tests?\//.test(path) && dirname(path) !== HELPERS;
