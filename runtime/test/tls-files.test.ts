import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { connectNats, createLogger, natsConfigSchema, readTlsFiles } from '../src/index.ts';

describe('files for TLS', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'floorwatch-tls-'));
  });
  afterEach(async () => rm(directory, { recursive: true }));

  it('are read under the names that clients know, and those not given are left out', async () => {
    const caFile = join(directory, 'ca.pem');
    await writeFile(caFile, 'authority');
    expect(await readTlsFiles({ caFile }, 'broker.tls')).toEqual({ ca: 'authority' });
    expect(await readTlsFiles({}, 'broker.tls')).toEqual({});
  });

  it('that are missing keep a program from starting, with the name of the field', async () => {
    const config = natsConfigSchema.parse({ servers: ['nats://127.0.0.1:9'], tls: { keyFile: '/nowhere/key.pem' } });
    const connecting = connectNats(
      config,
      'test',
      '_INBOX',
      createLogger('test', 'silent'),
      AbortSignal.timeout(2_000),
    );
    await expect(connecting).rejects.toMatchObject({
      code: 'secret-missing',
      message: expect.stringMatching(/^nats\.tls\.keyFile: \/nowhere\/key\.pem can't be read/),
    });
  });
});
