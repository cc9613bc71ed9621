import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { assemble, parseCopy, readInstructions } from './dockerfile.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const dockerfile = join(root, 'deploy/Dockerfile');
/** Installing packages twice takes a minute and a registry. */
const isWanted = process.env['FLOORWATCH_TEST_IMAGE'] === '1';
const PROGRAMS = ['edge-agent', 'cloud-processor', 'simulator'] as const;

describe('the image', () => {
  test('copies only what is in the repository, and the manifest of every workspace', () => {
    const tracked = execFileSync('git', ['ls-files'], { cwd: root }).toString().split('\n');
    const copies = readInstructions(dockerfile)
      .filter(({ name }) => name === 'COPY')
      .map(({ text }) => parseCopy(text))
      .filter(({ stage }) => stage === undefined)
      .flatMap(({ sources }) => sources);
    const missing = copies.filter(
      (source) => !tracked.some((file) => file === source || file.startsWith(`${source}/`)),
    );
    expect(missing).toEqual([]);
    const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { workspaces: string[] };
    expect(copies).toEqual(expect.arrayContaining(workspaces.map((workspace) => `${workspace}/package.json`)));
  });

  test('runs as a user without rights, with a health check and a pinned base', () => {
    const instructions = readInstructions(dockerfile);
    const of = (name: string): string[] => instructions.filter((each) => each.name === name).map(({ text }) => text);
    expect(of('USER')).toEqual(['node']);
    expect(instructions.at(-2)?.name).toBe('HEALTHCHECK');
    expect(of('FROM').every((text) => /^node:\d+\.\d+\.\d+-bookworm-slim( AS \w+)?$/.test(text))).toBe(true);
    const inside = /\["node", "\/app\/(.+)"\]/.exec(of('HEALTHCHECK')[0] ?? '')?.[1] ?? '';
    expect(existsSync(join(root, inside))).toBe(true);
  });

  test('the health check ends with 0 only if the page answers well, and with 0 where there is none', () => {
    const check = (url?: string): number | null =>
      spawnSync(process.execPath, [join(root, 'deploy/healthcheck.mjs')], {
        env: url === undefined ? {} : { FLOORWATCH_HEALTH_URL: url },
      }).status;
    expect(check()).toBe(0);
    expect(check('http://127.0.0.1:9/healthz')).toBe(1);
    expect(check('data:text/plain,ok')).toBe(0);
  });
});

describe.skipIf(!isWanted)(
  'the folder that the steps of the Dockerfile make from a clean copy (FLOORWATCH_TEST_IMAGE=1)',
  () => {
    let work: string;
    let app: string;
    beforeAll(async () => {
      work = await mkdtemp(join(tmpdir(), 'floorwatch-image-'));
      const context = join(work, 'context');
      await mkdir(context);
      const archive = execFileSync('git', ['archive', 'HEAD'], { cwd: root, maxBuffer: 512 * 1024 * 1024 });
      execFileSync('tar', ['-x', '-C', context], { input: archive });
      app = assemble(dockerfile, context, work);
    }, 600_000);
    afterAll(() => rm(work, { recursive: true, force: true }));

    test.each(PROGRAMS)('runs %s', (program) => {
      const { status, stdout, stderr } = spawnSync(join(app, program, 'dist/main.js'), ['--version'], { cwd: work });
      expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
      expect(stdout.toString()).toMatch(/^\d+\.\d+\.\d+\n$/);
    });

    test('the programs read the configuration of compose.yaml, up to the first thing that only a container has', () => {
      const run = (program: string, ...args: string[]): { status: number | null; stderr: string } => {
        const { status, stderr } = spawnSync(join(app, program, 'dist/main.js'), args, { cwd: work, timeout: 20_000 });
        return { status, stderr: stderr.toString() };
      };
      const config = (name: string): string[] => ['--config', join(root, 'deploy/compose/config', name)];
      expect(run('edge-agent', ...config('agent.yaml'))).toEqual({
        status: 2,
        stderr: expect.stringMatching(/\/run\/secrets\/|\/etc\/floorwatch\/users/) as string,
      });
      expect(run('cloud-processor', ...config('processor.yaml'))).toEqual({
        status: 2,
        stderr: expect.stringContaining('/run/secrets/http-token') as string,
      });
    });

    test('holds the console page, and no tools of development', () => {
      expect(existsSync(join(app, 'dashboards/console/dist/index.html'))).toBe(true);
      const tools = ['typescript', 'vitest', 'oxlint', 'esbuild', 'playwright-core'];
      expect(tools.filter((tool) => existsSync(join(app, 'node_modules', tool)))).toEqual([]);
    });
  },
);
