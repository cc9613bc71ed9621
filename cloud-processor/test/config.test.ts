import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { loadConfig } from '@floorwatch/runtime';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { processorConfigSchema } from '../src/config.ts';

const resources = resourcesPerTest();
const example = fileURLToPath(new URL('../config.example.yaml', import.meta.url));
const least = { dataDir: '/data', store: { kind: 'duckdb', file: '/data/floorwatch.duckdb' } };

async function load(more: object): Promise<unknown> {
  const file = path.join(await resources.directory(), 'config.yaml');
  await writeFile(file, JSON.stringify({ ...least, ...more }));
  return loadConfig(file, processorConfigSchema);
}

/** The names of all fields of a JSON schema, at any depth. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const properties = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...properties, ...Object.values(schema).flatMap(fieldsOf)];
}

describe('configuration', () => {
  it('of the example holds the defaults, and explains every field of the schema', async () => {
    const loaded = await loadConfig(example, processorConfigSchema);
    expect(loaded).toEqual(
      processorConfigSchema.parse({
        dataDir: loaded.dataDir,
        store: { kind: 'duckdb', file: loaded.store.kind === 'duckdb' ? loaded.store.file : '' },
      }),
    );
    const text = await readFile(example, 'utf8');
    const fields = new Set(fieldsOf(z.toJSONSchema(processorConfigSchema, { io: 'input', unrepresentable: 'any' })));
    expect(fields.size).toBeGreaterThan(30);
    for (const field of fields) expect(text, `the field ${field}`).toMatch(new RegExp(`^[# ]*${field}:`, 'm'));
  });

  it('turns what a person writes into durations and bytes', async () => {
    const windows = { sizes: ['10s', '2m', '1d'], allowedLatenessSeconds: 7_200 };
    expect(await load({ windows, stream: { sizeMaxMb: 64, ageMaxHours: 48 } })).toMatchObject({
      windows: { sizes: [10_000, 120_000, 86_400_000], allowedLateness: 7_200_000 },
      stream: { bytesMax: 64 * 1024 * 1024, ageMax: 48 * 3_600_000, replicas: 1 },
      checkpointInterval: 2_000,
      liveInterval: 5_000,
    });
  });

  it.each([
    ['an unknown field', { windws: {} }, 'windws: unknown field'],
    ['an unknown inner field', { windows: { size: '1m' } }, 'windows.size: unknown field'],
    [
      'a size that is no multiple of 10 s',
      { windows: { sizes: ['1m', '15s'] } },
      'windows.sizes.1: "15s" must be a multiple of 10 s',
    ],
    [
      'a size that is no length of time',
      { windows: { sizes: ['minute'] } },
      'windows.sizes.0: "minute" is not a length of time',
    ],
    ['a size beyond a week', { windows: { sizes: ['8d'] } }, 'windows.sizes.0: "8d" must be at most 7d'],
    ['a size given twice', { windows: { sizes: ['1m', '60s'] } }, 'windows.sizes: must not name a size twice'],
    ['no size', { windows: { sizes: [] } }, 'windows.sizes: '],
    [
      'a lateness for which no floor has room',
      { windows: { sizes: ['10s'], allowedLatenessSeconds: 604_800 }, stream: { ageMaxHours: 1_000 } },
      'windows.allowedLatenessSeconds: 604800 with windows.sizes 10s keeps 60482 windows of each sensor open, and a partition has room for 1000000: for 16 sensors',
    ],
    ['a negative lateness', { windows: { allowedLatenessSeconds: -1 } }, 'windows.allowedLatenessSeconds: '],
    [
      'a stream that is shorter than a window',
      { stream: { ageMaxHours: 1 } },
      'stream.ageMaxHours: 1 must be at least the largest of windows.sizes',
    ],
    ['a partition that does not exist', { partitions: [16] }, 'partitions.0: '],
    ['a partition given twice', { partitions: [1, 1] }, 'partitions: must not name a partition twice'],
    ['another kind of store', { store: { kind: 'sqlite' } }, 'store.kind: must have a kind: duckdb or influxdb'],
    ['an address that is none', { gateway: { mqttUrl: 'nowhere' } }, 'gateway.mqttUrl: must be an address'],
    ['a port that does not exist', { http: { port: 70_000 } }, 'http.port: '],
  ])('refuses %s and names it', async (_what, more, message) => {
    await expect(load(more)).rejects.toMatchObject({
      code: 'config-invalid',
      message: expect.stringContaining(message) as string,
    });
  });
});
