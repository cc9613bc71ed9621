import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';

const module = fileURLToPath(new URL('../process-group.mjs', import.meta.url));
/** A program that starts another one, which lives on without it, and tells its process. */
const WORKER = `process.on('disconnect', () => {}); setInterval(() => {}, 1_000);`;
const STUBBORN = `process.on('SIGTERM', () => {}); ${WORKER}`;
const runner = (worker: string): string => `
  const { spawn } = require('node:child_process');
  const worker = spawn(process.execPath, ['-e', ${JSON.stringify(worker)}], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  worker.on('spawn', () => setTimeout(() => console.log(worker.pid), 200));
  setInterval(() => {}, 1_000);`;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('a program that is run with all that it starts', () => {
  const resources = resourcesPerTest();

  it.each([
    ['a worker that lives on when its parent has gone', WORKER],
    ['a worker that does not listen to the signal', STUBBORN],
  ])('takes %s along when it is told to end', async (_what, worker) => {
    const program = `
      const { runGroup } = await import(${JSON.stringify(module)});
      const ended = await runGroup(process.execPath, ['-e', ${JSON.stringify(runner(worker))}], { stdio: ['ignore', 'inherit', 'inherit'] });
      process.stdout.write(JSON.stringify(ended));`;
    const outer = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    resources.defer(() => outer.kill('SIGKILL'));
    let output = '';
    outer.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    const pid = Number(await waitFor('the worker is there', () => /^(\d+)\n/.exec(output)?.[1]));
    resources.defer(() => {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    });
    expect(isAlive(pid)).toBe(true);
    outer.kill('SIGTERM');
    await once(outer, 'close');
    expect(isAlive(pid)).toBe(false);
    expect(output).toContain('"signal":"SIGTERM"');
  });

  it.each([0, 3])('says how it has ended: exit code %i', async (code) => {
    const { runGroup } = (await import(module)) as {
      runGroup: (command: string, args: string[]) => Promise<{ code: number | null; signal: string | null }>;
    };
    expect(await runGroup(process.execPath, ['-e', `process.exit(${code})`])).toEqual({ code, signal: null });
  });
});
