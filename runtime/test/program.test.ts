import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';

import { afterEach, describe, expect, it } from 'vitest';

// The built package: a child process runs no TypeScript. `npm test` builds first.
const runtime = new URL('../dist/index.js', import.meta.url).href;

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Running {
  readonly child: ChildProcess;
  /** Exit code, signal and everything written to standard error. */
  readonly ended: Promise<{ code: number | null; error: string }>;
  /** Resolves when the program has written a line to standard output. */
  readonly ready: Promise<unknown>;
}

/** Starts a program whose `main` is the given code. */
function start(main: string, stdio: StdioOptions = 'pipe'): Running {
  const code = `const { runProgram, StartError } = await import(${JSON.stringify(runtime)}); await runProgram(async (signal) => { ${main} });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio });
  children.push(child);
  let error = '';
  child.stderr?.on('data', (text) => (error += String(text)));
  const ended = once(child, 'close').then(([exit]) => ({ code: exit as number | null, error }));
  return { child, ended, ready: child.stdout === null ? Promise.resolve() : once(child.stdout, 'data') };
}

const untilStopped = `
  console.log('ready');
  const alive = setInterval(() => {}, 1000);
  await new Promise((resolve) => signal.addEventListener('abort', resolve));`;

describe('program', () => {
  it('ends with 0 when its main returns nothing, else with the code it returns', async () => {
    expect((await start('').ended).code).toBe(0);
    expect((await start('return 7;').ended).code).toBe(7);
  });

  it('prints the message alone and ends with 2 when it can not start', async () => {
    const { ended } = start(`throw new StartError('usage', 'port: 70000 is too large; use at most 65535');`);
    expect(await ended).toEqual({ code: 2, error: 'port: 70000 is too large; use at most 65535\n' });
  });

  it('prints the stack and ends with 1 when something breaks, even while a timer still runs', async () => {
    const { code, error } = await start(`setInterval(() => {}, 1000); throw new Error('broken');`).ended;
    expect(code).toBe(1);
    expect(error).toContain('Error: broken\n    at ');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    '%s asks it to stop, and it ends with 0 when it has closed everything',
    async (signal) => {
      const { child, ended, ready } = start(`${untilStopped} clearInterval(alive);`);
      await ready;
      child.kill(signal);
      expect((await ended).code).toBe(0);
    },
  );

  it('ends soon after its main has, also when something is left behind that keeps it alive', async () => {
    expect((await start('setInterval(() => {}, 1000); return 7;').ended).code).toBe(7);
  });

  it('a second signal ends it at once', async () => {
    const { child, ended, ready } = start(`${untilStopped} console.log('closing'); await new Promise(() => {});`);
    await ready;
    const closing = once(child.stdout as NodeJS.ReadableStream, 'data');
    child.kill('SIGINT');
    await closing;
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
  });

  it('stops when the parent that opened a channel to it is gone', async () => {
    const { child, ready } = start(`${untilStopped} clearInterval(alive);`, ['ignore', 'pipe', 'pipe', 'ipc']);
    await ready;
    // Not `close`: Node does not emit it for a child that was disconnected.
    const exited = once(child, 'exit');
    child.disconnect();
    expect(await exited).toEqual([0, null]);
  });
});
