import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { nkeys } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { natsConfigSchema, natsConnectionOptions } from '../src/nats.ts';

const resources = resourcesPerTest();

async function fileWith(text: string): Promise<string> {
  const file = path.join(await resources.directory(), 'key');
  await writeFile(file, text);
  return file;
}

describe('how NATS is reached', () => {
  it('is with one kind of credentials', () => {
    for (const two of [
      { nkeyFile: 'a', tokenFile: 'b' },
      { credentialsFile: 'a', nkeyFile: 'b' },
    ]) {
      expect(() => natsConfigSchema.parse(two)).toThrow('a connection is of one user');
    }
    expect(natsConfigSchema.parse({ nkeyFile: 'a' }).nkeyFile).toBe('a');
  });

  it('is with the key in the file, and with an inbox of its own', async () => {
    const user = nkeys.createUser();
    const nkeyFile = await fileWith(`${Buffer.from(user.getSeed()).toString()}\n`);
    const options = await natsConnectionOptions(natsConfigSchema.parse({ nkeyFile }), 'test', '_INBOX.mine');
    expect(options.inboxPrefix).toBe('_INBOX.mine');
    const [authenticator] = [options.authenticator].flat();
    expect(authenticator?.('nonce')).toMatchObject({ nkey: user.getPublicKey() });
  });

  it.each(['', 'SUNOTHING', nkeys.createUser().getPublicKey()])(
    'ends the start with what to put there where the file holds "%s"',
    async (text) => {
      const nkeyFile = await fileWith(text);
      const options = natsConnectionOptions(natsConfigSchema.parse({ nkeyFile }), 'test', '_INBOX');
      const failure = await options.then(
        () => undefined,
        (error: unknown) => error as Error,
      );
      expect(failure?.message).toContain(nkeyFile);
      expect(failure).toMatchObject({ code: 'secret-missing' });
    },
  );
});
