import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { expect, it, vi } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { processorConfigSchema } from '../../src/config.ts';
import { verify } from '../../src/verify/command.ts';
import type { VerifyReport } from '@floorwatch/contracts/api';
import { MemoryStore } from '../support/memory-store.ts';
import { hoursOf } from './counting-gateway.ts';
import { Floor } from './stored-floor.ts';

const resources = resourcesPerTest();
const never = new AbortController().signal;

/** How the command ends when the processor answers with what is found on a floor of three hours, changed by `more`. */
async function codeOf(more: Partial<VerifyReport>): Promise<number> {
  const store = new MemoryStore();
  await store.connect(never);
  const floor = new Floor(store);
  hoursOf(floor.gateway, 3);
  floor.apply();
  const status = await floor.verified({});
  const answer = JSON.stringify({ ...status, report: { ...status.report, ...more } });
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(answer);
  }).listen(0, '127.0.0.1');
  resources.defer(async () => new Promise((resolve) => server.close(resolve)));
  await new Promise((resolve) => server.once('listening', resolve));
  const config = processorConfigSchema.parse({
    nats: { servers: ['nats://127.0.0.1:4222'] },
    dataDir: 'not used',
    store: { kind: 'duckdb', file: 'not used' },
    http: { port: (server.address() as AddressInfo).port },
  });
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    return await verify(config, { json: false }, never);
  } finally {
    written.mockRestore();
  }
}

it('ends with 0 when all adds up, with 3 when that is not proven, and with 1 when something differs, proven or not', async () => {
  expect(await codeOf({})).toBe(0);
  expect(await codeOf({ isProven: false })).toBe(3);
  expect(await codeOf({ ok: false, isProven: false })).toBe(1);
  expect(await codeOf({ gateways: [], isProven: false })).toBe(3);
});
