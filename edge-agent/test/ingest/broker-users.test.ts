import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { BrokerUsers, isUserName, userLine } from '../../src/ingest/broker-users.ts';

describe('the users of the broker', () => {
  const resources = resourcesPerTest();
  const fileWith = async (text: string): Promise<string> => {
    const file = join(await resources.directory(), 'users');
    await writeFile(file, text);
    return file;
  };

  it('are known by their passwords', async () => {
    const lines = [await userLine('press', 'pä$$:word '), await userLine('pump', 'other')];
    const users = await BrokerUsers.load(await fileWith(`# two\r\n${lines.join('\r\n')}\r\n`));
    expect(await users.check('press', Buffer.from('pä$$:word '))).toBe(true);
    expect(await users.check('press', Buffer.from('other'))).toBe(false);
    expect(await users.check('pump', Buffer.from('other'))).toBe(true);
    expect(await users.check('nobody', Buffer.from('other'))).toBe(false);
    expect(['press', 'pump', 'nobody'].map((name) => users.has(name))).toEqual([true, true, false]);
  });

  it('never have two equal lines, nor their password in one', async () => {
    const [one, two] = [await userLine('press', 'geheim'), await userLine('press', 'geheim')];
    expect(one).not.toBe(two);
    expect(one).not.toMatch('geheim');
  });

  it.each([
    ['', 'line 1: the file names no user'],
    ['# nobody\n', 'line 1: the file names no user'],
    ['press:secret\n', 'line 1: is not name:scrypt:salt:key'],
    ['\npress:scrypt:AAAA:BBBB\n', 'line 2: is not name:scrypt:salt:key'],
  ])('%j is refused: %s', async (text, message) => {
    const file = await fileWith(text);
    await expect(BrokerUsers.load(file)).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringMatching(message),
    });
  });

  it('are not two of one name', async () => {
    const line = await userLine('press', 'x');
    await expect(BrokerUsers.load(await fileWith(`${line}\n${line}`))).rejects.toThrow(
      'line 2: user press is there already',
    );
  });

  it('come from a file that can be read', async () => {
    await expect(BrokerUsers.load('/nowhere/users')).rejects.toMatchObject({
      code: 'secret-missing',
      message: expect.stringMatching('^broker.usersFile: /nowhere/users'),
    });
  });

  it.each([
    ['press 4', true],
    ['', false],
    ['a:b', false],
    ['#a', false],
    [' a', false],
    ['a\n', false],
    ['x'.repeat(128), true],
    ['x'.repeat(129), false],
  ])('%j as a name: %s', (name, expected) => {
    expect(isUserName(name)).toBe(expected);
  });
});
