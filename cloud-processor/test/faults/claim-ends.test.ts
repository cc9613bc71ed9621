import { epochMs, sensorId } from '@floorwatch/contracts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { Relay } from '../../../tests/chaos/harness/relay.ts';
import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import type { processorLimits } from '../../src/limits.ts';
import { InfluxStore } from '../../src/write/influx-store.ts';
import { anomaly, BASE, batchOf, GATEWAY, MINUTE, rollups, SENSORS, start, tick } from '../support/floor.ts';
import { InfluxProxy } from '../support/influx-proxy.ts';
import { connectPublisher, type RunningPipeline, startPipeline } from '../support/running.ts';
import { noInflux, startTestInflux, type TestInflux } from '../write/influx-server.ts';

// Servers and programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

const STALE_MS = 1_500;

vi.mock('../../src/limits.ts', async (original) => {
  const { processorLimits: limits } = await original<{ readonly processorLimits: typeof processorLimits }>();
  const claims = { claimRenewMs: 100, claimStaleMs: 1_500, claimMarginMs: 200 };
  return { processorLimits: { ...limits, ...claims, retryPauseMs: 20, retryPauseMsMax: 200 } };
});

const resources = resourcesPerTest();
const PRESS = { ...GATEWAY, ...SENSORS[0] };
const EPISODE = anomaly(1, 1, 'opened').id;

describe.skipIf(noInflux !== undefined)(`two processors on one InfluxDB${noInflux ?? ''}`, () => {
  let influx: TestInflux;

  beforeAll(async () => {
    influx = await startTestInflux();
  });
  afterAll(() => influx.stop());

  it('the first, cut off from NATS with rows that the store has not taken, writes none of them once its claim has ended', async () => {
    const config = { ...(await influx.freshConfig(0)), lingerMs: 500 };
    const { proxy, url: proxied } = await InfluxProxy.start(resources, config.url);
    const nats = await resources.nats();
    const relay = await Relay.start(resources, Number(new URL(nats.url).port));
    const publisher = await connectPublisher(resources, nats.url);
    const begin = async (url: string, store: InfluxStore): Promise<RunningPipeline> =>
      startPipeline(resources, { url, dataDir: await resources.directory(), store });

    const first = await begin(`nats://127.0.0.1:${relay.port}`, new InfluxStore({ ...config, url: proxied }));
    await waitFor('the first works', () => first.pipeline.health().ok);
    // The window seals with one reading, and the episode opens; the store takes neither.
    proxy.script = () => ({ kind: 'answer', status: 503 });
    await publisher.publish(
      batchOf([start(), rollups(2, [{ sensor: 0, at: BASE, value: 1 }]), tick(3, BASE + 2 * MINUTE)]),
      batchOf([start(), anomaly(2, 1, 'opened'), anomaly(3, 1, 'updated', 2)], { lane: 'anomaly' }),
    );
    const { outbox } = first.partition();
    await waitFor('rows wait for the store', () => outbox.size >= 2 && first.partition().cursor.position >= 2);

    relay.cut();
    const second = await begin(nats.url, new InfluxStore(config));
    await waitFor('the second has taken over', () => second.pipeline.health().ok, { timeoutMs: 30_000 });
    expect(first.pipeline.health().parts['claims']).toMatch(/^ended \d+ s ago: /);
    const unsent = outbox.size;
    const ordinal = outbox.capture().ordinal;
    await publisher.publish(
      batchOf([rollups(4, [{ sensor: 0, at: BASE + 1_000, value: 3 }])]),
      batchOf([anomaly(4, 1, 'closed', 3)], { lane: 'anomaly' }),
    );
    const reader = new InfluxStore(config);
    await reader.connect(new AbortController().signal);
    const stored = async () => {
      const range = { from: epochMs(BASE), to: epochMs(BASE + MINUTE) };
      const [window] = (await reader.windows({ sensor: PRESS, size: MINUTE as never, ...range, limit: 1 })).items;
      const episode = (await reader.anomalies({ ...range, limit: 10 })).items.find(({ id }) => id === EPISODE);
      return { n: window?.aggregate.n, phase: episode?.phase };
    };
    const right = { n: 2, phase: 'closed' };
    await waitFor(`${sensorId(PRESS)} is right`, async () => JSON.stringify(await stored()) === JSON.stringify(right), {
      timeoutMs: 30_000,
    });

    // The store takes the first's rows again, if it sends any.
    proxy.script = () => ({ kind: 'pass' });
    const before = proxy.played.get('pass') ?? 0;
    await new Promise((resolve) => setTimeout(resolve, 2 * STALE_MS));
    expect(proxy.played.get('pass') ?? 0).toBe(before);
    expect(await stored()).toEqual(right);
    expect(outbox.size).toBe(unsent);
    // Nor has it saved anything since.
    expect(first.partition().outbox.capture().ordinal).toBe(ordinal + 1);

    // What it finds when the network is back is that another has the partition.
    relay.mend();
    await expect(first.ended).rejects.toMatchObject({ name: 'ClaimLostError' });
    expect(await stored()).toEqual(right);
  });
});
