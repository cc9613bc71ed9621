import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { loadConfig, StartError } from '../src/index.ts';

const schema = z.strictObject({
  site: z.string().default('here'),
  http: z
    .strictObject({ port: z.number().int().max(65_535).default(80), host: z.string().default('localhost') })
    .prefault({}),
});

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'floorwatch-config-'));
});
afterAll(async () => rm(folder, { recursive: true }));

async function fileWith(text: string): Promise<string> {
  const file = path.join(folder, `${Math.random()}.yaml`);
  await writeFile(file, text);
  return file;
}

async function problemWith(text: string): Promise<string> {
  const error: unknown = await loadConfig(await fileWith(text), schema).catch((thrown: unknown) => thrown);
  if (!(error instanceof StartError)) throw new Error(`expected a StartError, got ${String(error)}`);
  return error.message;
}

describe('configuration file', () => {
  it('gives the defaults when there is no file', async () => {
    expect(await loadConfig(undefined, schema)).toEqual({ site: 'here', http: { port: 80, host: 'localhost' } });
  });

  it('an empty file is no mistake', async () => {
    expect((await loadConfig(await fileWith('# nothing yet\n'), schema)).site).toBe('here');
  });

  it('lays the command line over the file, field by field', async () => {
    const file = await fileWith('site: there\nhttp:\n  port: 81\n');
    const config = await loadConfig(file, schema, { http: { host: 'example', port: undefined }, site: undefined });
    expect(config).toEqual({ site: 'there', http: { port: 81, host: 'example' } });
  });

  it('names an unknown field with its path', async () => {
    expect(await problemWith('http:\n  prot: 81\n')).toContain('http.prot: unknown field');
  });

  it('names every wrong field, the value and what it must be', async () => {
    const message = await problemWith('site: 7\nhttp:\n  port: 99999\n');
    expect(message).toContain('2 problems');
    expect(message).toContain('site: expected string; it is 7');
    expect(message).toMatch(/http\.port: .*<=65535; it is 99999/);
  });

  it.each([
    ['site: 7', 'site: expected string; it is 7; write it in quotes: "7"'],
    ['site: true', 'site: expected string; it is true; write it in quotes: "true"'],
    ['http: { port: "81" }', 'http.port: expected number; it is "81"; write it without quotes: 81'],
    ['http: { port: eighty }', 'http.port: expected number; it is "eighty"\n'],
  ])('says what to do about quotes: %s', async (text, message) => {
    expect(await problemWith(text)).toContain(message);
  });

  it('never repeats a password that somebody put into an address', async () => {
    const message = await problemWith('site: [nats://user:s3cret@host]\n');
    expect(message).toContain('it is ["nats://***@host"]');
  });

  it('says that a file is missing, and which', async () => {
    await expect(loadConfig(path.join(folder, 'none.yaml'), schema)).rejects.toMatchObject({
      code: 'config-unreadable',
      message: expect.stringContaining('none.yaml') as string,
    });
  });

  it.each([
    ['a list', '- 1\n', 'holds a list'],
    ['broken YAML', 'site: [1\n', 'not valid YAML'],
    [
      'a bomb of aliases',
      `a: &a [1,1,1,1,1,1,1,1,1]\n${['b', 'c', 'd', 'e', 'f'].map((k, i) => `${k}: &${k} [${`*${'abcdef'[i]},`.repeat(9)}]`).join('\n')}\n`,
      'alias',
    ],
  ])('refuses %s', async (_what, text, message) => {
    expect(await problemWith(text)).toContain(message);
  });
});
