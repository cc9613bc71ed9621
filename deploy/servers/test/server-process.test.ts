import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { repositoryRoot, resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { freePort, isFreePort } from '../src/free-port.ts';
import { startNatsServer } from '../src/nats-server.ts';
import { ServerProcess } from '../src/server-process.ts';

const resources = resourcesPerTest();
const servers = JSON.stringify(join(repositoryRoot, 'deploy/servers/dist/index.js'));

/** Runs code in a process that nothing connects to this one, and returns the first line that it prints. */
async function runApart(code: string): Promise<{ pid: number; line: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  resources.defer(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { pid: child.pid ?? 0, line: line.toString().trim() };
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('server process', () => {
  it('ends when its parent was killed with -9', async () => {
    const directory = JSON.stringify(await resources.directory());
    const parent = await runApart(
      `const { startNatsServer } = await import(${servers});
       const server = await startNatsServer({ directory: ${directory} });
       console.log(server.process.pid + ' ' + server.port);
       setInterval(() => {}, 1000);`,
    );
    const [pid = 0, port = 0] = parent.line.split(' ').map(Number);
    expect(isAlive(pid)).toBe(true);
    process.kill(parent.pid, 'SIGKILL');
    await waitFor('the server has ended', () => !isAlive(pid));
    expect(await isFreePort(port)).toBe(true);
  });

  it('ends when its parent calls process.exit', async () => {
    const directory = JSON.stringify(await resources.directory());
    const parent = await runApart(
      `const { startNatsServer } = await import(${servers});
       const server = await startNatsServer({ directory: ${directory} });
       process.stdout.write(String(server.process.pid), () => process.exit(3));`,
    );
    expect(await waitFor('the server has ended', () => !isAlive(Number(parent.line)))).toBe(true);
  });

  it('another server that answers in its place is not taken for it', async () => {
    const script = join(await resources.directory(), 'mute.mjs');
    await writeFile(script, `setTimeout(() => console.log('port in use'), 300);`);
    const server = new ServerProcess({
      name: 'mute',
      path: process.execPath,
      parameters: [script],
      listeningLine: /up/,
      isReady: () => Promise.resolve(true),
      readyMsMax: 10_000,
    });
    await expect(server.start()).rejects.toThrow(
      'mute ended with exit code 0 before it was ready. Its last lines:\n  port in use',
    );
  });

  it('a port in use is an error with the words of the server, and nothing is left running', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    resources.defer(() => blocker.close());
    const address = blocker.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const starting = startNatsServer({ directory: await resources.directory(), port });
    await expect(starting).rejects.toThrow(
      /nats-server ended with exit code 1 before it was ready[^]*address already in use/,
    );
  });

  it('a server that is never ready is stopped after its time, with the last reason', async () => {
    const script = join(await resources.directory(), 'never.mjs');
    await writeFile(script, `console.log('up'); setInterval(() => {}, 1000);`);
    const server = new ServerProcess({
      name: 'never',
      path: process.execPath,
      parameters: [script],
      listeningLine: /up/,
      isReady: () => Promise.reject(new Error('refused')),
      readyMsMax: 2_000,
    });
    await expect(server.start()).rejects.toThrow('never was not ready after 2 s: refused');
    expect(server.pid).toBeUndefined();
  });

  it('a program that can not be started is an error that says why', async () => {
    const server = new ServerProcess({
      name: 'missing',
      path: '/nowhere/missing',
      parameters: [],
      listeningLine: /up/,
      isReady: () => Promise.resolve(false),
      readyMsMax: 5_000,
    });
    await expect(server.start()).rejects.toThrow('ENOENT');
  });

  it('one that ignores SIGTERM is killed', async () => {
    const script = join(await resources.directory(), 'deaf.mjs');
    await writeFile(script, `process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000);`);
    const server = new ServerProcess({
      name: 'deaf',
      path: process.execPath,
      parameters: [script],
      listeningLine: /up/,
      isReady: () => Promise.resolve(true),
      readyMsMax: 10_000,
    });
    await server.start();
    const exited = server.exited;
    await server.stop();
    expect(await exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('free ports lie below those that systems use for outgoing connections', async () => {
    expect(await freePort()).toBeLessThan(32_768);
  });
});
