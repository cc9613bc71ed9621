import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isFreePort, lookForServer } from '@floorwatch/servers';
import { describe, expect, it } from 'vitest';

import { onboardInfluxd, Resources, resourcesPerTest, skippedIf, waitFor } from './index.ts';

const influxd = await lookForServer('influxd');

describe('resources', () => {
  const resources = resourcesPerTest();

  it('a nats-server keeps its port and its folder through kill -9 and start', async () => {
    const nats = await resources.nats();
    const before = nats.process.pid;
    await nats.kill9();
    expect(nats.process.pid).toBeUndefined();
    await nats.start();
    expect(nats.process.pid).not.toBe(before);
    expect(nats.url).toBe(`nats://127.0.0.1:${nats.port}`);
  });

  it.skipIf(influxd === undefined)(
    `an influxd takes its set-up${skippedIf(influxd === undefined, 'no influxd was found')}`,
    async () => {
      const server = await resources.influxd();
      const setup = { org: 'works', bucket: 'floor', token: 'a-token' };
      await onboardInfluxd(server.url, setup);
      const buckets = await fetch(`${server.url}/api/v2/buckets`, { headers: { authorization: 'Token a-token' } });
      expect(buckets.status).toBe(200);
      await expect(onboardInfluxd(server.url, setup)).rejects.toThrow('422');
    },
  );

  it('a program is followed from its first line to its exit code', async () => {
    const script = join(await resources.directory(), 'main.mjs');
    await writeFile(
      script,
      `console.log('port 17'); setInterval(() => {}, 1e3); process.on('SIGTERM', () => process.exit(4));`,
    );
    const program = resources.program(script);
    expect((await program.printed(/port (\d+)/))[1]).toBe('17');
    expect(program.isRunning).toBe(true);
    expect(await program.stop()).toEqual({ code: 4, signal: null });
  });

  it('a program that ends without the expected line is reported with its output', async () => {
    const script = join(await resources.directory(), 'main.mjs');
    await writeFile(script, `console.error('no such file'); process.exit(2);`);
    await expect(resources.program(script).printed(/ready/)).rejects.toThrow(/never printed \/ready\/[^]*no such file/);
  });

  it('all is stopped and removed, the newest first, even if one of them fails', async () => {
    const own = new Resources();
    const directory = await own.directory();
    const nats = await own.nats({ directory: join(directory, 'nats') });
    own.defer(() => Promise.reject(new Error('stuck')));
    await expect(own.dispose()).rejects.toThrow('not everything could be stopped or removed');
    expect(existsSync(directory)).toBe(false);
    expect(await isFreePort(nats.port)).toBe(true);
  });
});

describe('waitFor', () => {
  it('returns the first value that is neither undefined nor false', async () => {
    const values = [undefined, false, 0];
    expect(await waitFor('a value arrives', () => values.shift() as number | false | undefined)).toBe(0);
  });

  it('says what it waited for and what went wrong last', async () => {
    await expect(
      waitFor('the door opens', () => Promise.reject(new Error('refused')), { timeoutMs: 60, intervalMs: 20 }),
    ).rejects.toThrow('waited 0.06 s until the door opens; the last error was "refused"');
  });
});
