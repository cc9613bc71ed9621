import { rm } from 'node:fs/promises';
import path from 'node:path';

import { createLogger } from '@floorwatch/runtime';
import { type KV, Kvm } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import { describe, expect, it, vi } from 'vitest';

import { loopTime, resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { CLAIMS_BUCKET, PartitionClaims } from '../../src/claim/partition-claims.ts';
import { Tenure } from '../../src/claim/tenure.ts';
import type { processorLimits } from '../../src/limits.ts';
import { BASE, batchOf, rollups, start, tick } from '../support/floor.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { connectPublisher, type RunningPipeline, startPipeline } from '../support/running.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const RENEW_MS = 100;
const STALE_MS = 1_000;

vi.mock('../../src/limits.ts', async (original) => {
  const { processorLimits: limits } = await original<{ readonly processorLimits: typeof processorLimits }>();
  const claims = { claimRenewMs: 100, claimStaleMs: 1_000, claimMarginMs: 100 };
  return { processorLimits: { ...limits, ...claims, retryPauseMs: 20 } };
});

const resources = resourcesPerTest();
const ELSEWHERE = JSON.stringify({
  folder: 'f'.repeat(32),
  instance: 'e'.repeat(32),
  host: 'elsewhere',
  pid: 1,
  since: '2026-03-02T08:00:00.000Z',
  checkpoint: null,
  run: 0,
  released: false,
});

async function floor() {
  const server = await resources.nats();
  const publisher = await connectPublisher(resources, server.url);
  const connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  resources.defer(() => connection.close());
  const kvm = new Kvm(connection);
  const bucket = (): Promise<KV> => waitFor('the bucket is open', () => kvm.create(CLAIMS_BUCKET), PATIENT);
  const processor = async (dataDir?: string, store = new MemoryStore()): Promise<RunningPipeline> =>
    startPipeline(resources, { url: server.url, dataDir: dataDir ?? (await resources.directory()), store });
  return { server, publisher, kvm, bucket, processor };
}

const works = (one: RunningPipeline) => waitFor('it works', () => one.pipeline.health().ok);
const keyOf = (one: RunningPipeline): string => `partition.${one.partition().number}`;
const PATIENT = { timeoutMs: 30_000 };

describe('a second processor', () => {
  it('on the same partition is refused while the first works, and says which one that is; the first goes on', async () => {
    const { processor, publisher } = await floor();
    const one = await processor();
    await works(one);
    const two = await processor();
    await expect(two.ended).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringMatching(
        /^partitions: \d+ is worked on by the processor on host .+ \(process \d+, since /,
      ) as string,
    });
    await publisher.publish(batchOf([start(), rollups(2, [{ sensor: 0, at: BASE, value: 1 }])]));
    await waitFor('a batch is applied', () => one.partition().counts.batches === 1);
    expect(two.partition().counts.batches).toBe(0);
    expect(one.pipeline.health().ok).toBe(true);
  });

  it('starts at once when the first has stopped', async () => {
    const { processor } = await floor();
    const one = await processor();
    await works(one);
    await one.stop();
    const took = loopTime();
    await works(await processor());
    expect(took()).toBeLessThan(STALE_MS);
  });

  it('takes over from one that is dead, after it has seen that it is', async () => {
    const { bucket, processor } = await floor();
    const key = keyOf(await processor().then(async (one) => one.stop().then(() => one)));
    await (await bucket()).put(key, ELSEWHERE);
    const begun = performance.now();
    const two = await processor();
    await works(two);
    expect(performance.now() - begun).toBeGreaterThan(STALE_MS);
    expect((await (await bucket()).get(key))?.string()).not.toContain('elsewhere');
  });

  it('reads and writes nothing before it has the partition', async () => {
    const { bucket, processor, publisher } = await floor();
    const dataDir = await resources.directory();
    const one = await processor(dataDir);
    await works(one);
    await one.stop();
    await publisher.publish(
      batchOf([start(), rollups(2, [{ sensor: 0, at: BASE, value: 1 }]), tick(3, BASE + 2 * 3_600_000)]),
    );
    const key = keyOf(one);
    await (await bucket()).put(key, ELSEWHERE);
    const store = new MemoryStore();
    const two = await processor(dataDir, store);
    await new Promise((resolve) => setTimeout(resolve, STALE_MS / 2));
    expect(two.partition().counts.batches).toBe(0);
    expect(two.pipeline.health().parts).toMatchObject({ claims: 'not taken yet' });
    await waitFor('the windows are stored', () => Object.keys(store.contents('window')).length === 3);
  });
});

describe('a processor', () => {
  it('that was killed starts again at once on its own data', async () => {
    const { bucket, processor } = await floor();
    const dataDir = await resources.directory();
    const one = await processor(dataDir);
    await works(one);
    const left = (await (await bucket()).get(keyOf(one)))!.string();
    await one.stop();
    // The claim of a process that had no time to give it back.
    await (await bucket()).put(keyOf(one), left);
    const took = loopTime();
    await works(await processor(dataDir));
    expect(took()).toBeLessThan(STALE_MS);
  });

  it('whose partition was taken over stops and says by whom', async () => {
    const { bucket, processor } = await floor();
    const one = await processor();
    await works(one);
    await (await bucket()).put(keyOf(one), ELSEWHERE);
    await expect(one.ended).rejects.toMatchObject({
      name: 'ClaimLostError',
      message: expect.stringContaining('taken over by the processor on host elsewhere (process 1)') as string,
    });
  });

  it('writes its claim again when NATS has lost it', async () => {
    const { server, kvm, processor } = await floor();
    const one = await processor();
    await works(one);
    await server.kill9();
    await rm(path.join(server.directory, 'jetstream'), { recursive: true, force: true });
    await server.start();
    // Opened only: it is the processor that makes it again.
    const claim = async (): Promise<boolean> => (await (await kvm.open(CLAIMS_BUCKET)).get(keyOf(one))) !== null;
    await waitFor('the claim is written again', claim, PATIENT);
    await expect(waitFor('it works again', () => one.pipeline.health().ok, PATIENT)).resolves.toBe(true);
  });

  it('writes its claim over an older one that came back with an older copy of the store', async () => {
    const { bucket } = await floor();
    const options = { partitions: [3], folder: 'a'.repeat(32), logger: createLogger('test', 'silent') };
    const progress = () => ({ checkpoint: null, run: 0 });
    const claims = new PartitionClaims({ ...options, tenure: new Tenure(1), progress, open: bucket });
    const forAWhile = AbortSignal.timeout(5 * RENEW_MS);
    await claims.take(forAWhile);
    await claims.keep(forAWhile);
    expect((await (await bucket()).get('partition.3'))?.revision).toBeGreaterThan(1);
    await (await bucket()).destroy();
    await (await bucket()).put('partition.3', ELSEWHERE);
    await claims.keep(AbortSignal.timeout(5 * RENEW_MS));
    expect((await (await bucket()).get('partition.3'))?.string()).toContain(options.folder);
    await claims.release();
    expect((await (await bucket()).get('partition.3'))?.json()).toMatchObject({ released: true });
  });
});
