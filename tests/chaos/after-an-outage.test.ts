import { setTimeout as pauseMs } from 'node:timers/promises';

import { type AnomalyRow, epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../support/index.ts';
import type { AgentProcess } from './harness/agent-process.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, ifAsked, percentile, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { Device } from './harness/device.ts';
import { Ledger } from './harness/ledger.ts';
import type { ProcessorProcess } from './harness/processor-process.ts';
import { HIGH, Series } from './harness/series.ts';

/** Hours of telemetry that wait; a day by `npm run chaos -- --scenario after-an-outage --rounds 24`. */
const ROUNDS = 1;
const SENSORS = 100;
const STEP_MS = 10_000;
const READINGS_PER_HOUR = (SENSORS * 3_600_000) / STEP_MS;
/** What is sent so long after it was received is marked as backlog. */
const BACKLOG_MS = 60_000;
const ANOMALY_EVERY_MS = 50;
const ANOMALIES_MIN = 40;
const STORED_P99_MS_MAX = 5_000;
/** How the names of devices begin that send while the backlog is sent. */
const LIVE = 'machine-live-';

const { rounds: hoursAway = ROUNDS, seed, asked } = chaosOptions();

describe(`a gateway that sends ${hoursAway} hours of backlog`, () => {
  const resources = resourcesPerTest();

  it(
    'has live anomalies stored within seconds meanwhile, and marks the old ones as backlog',
    async () => {
      progress(`seed ${seed}, ${hoursAway} hours`);
      const { nats, agent, ledger, load, processor } = await ChaosFloor.create(resources, {
        seed,
        sensors: SENSORS,
        readingsPerSecond: 30_000,
        stepMs: STEP_MS,
        // What waits is telemetry, as on a floor that is well.
        faultEvery: 400,
        backHours: hoursAway + 24,
        processorLatenessSeconds: 3_600,
      });
      if (processor === undefined) throw new Error('there is no processor');
      await agent.start();
      await nats.stop();
      load.start();
      const began = Date.now();
      await waitFor('everything was read', () => ledger.made >= hoursAway * READINGS_PER_HOUR, {
        timeoutMs: 30 * 60_000,
        intervalMs: 1_000,
      });
      load.pause();
      await load.acknowledged();
      // What is acknowledged is safe, and judged a little later.
      await waitFor('anomalies are found', async () => (await agent.status()).episodes.opened > 0);
      const openedBefore = Date.now();
      // Only somebody who watches has the time to wait until all of it counts as old.
      if (asked) await pauseMs(Math.max(1_000, began + 2 * BACKLOG_MS - Date.now(), BACKLOG_MS + 1_000));
      const backlog = await recordsWaiting(agent);
      await nats.start();
      await waitFor('the backlog begins to drain', async () => (await recordsWaiting(agent)) < backlog, {
        timeoutMs: 60_000,
      });
      const live = new LiveAnomalies(agent.mqttPort);
      resources.defer(() => live.close());
      const draining = await live.watch(processor, async () => (await recordsWaiting(agent)) > 10);
      const stored = await processor.anomalies();
      const isLive = ({ sensor }: AnomalyRow): boolean => sensor.device.startsWith(LIVE);
      const fresh = stored.filter(isLive);
      const old = stored.filter((row) => !isLive(row));
      // What was told before the wait; of others an update or the end came later.
      const waited = old.filter(({ detectedAt }) => detectedAt <= openedBefore);
      report('after-an-outage', {
        hours: hoursAway,
        seed,
        'telemetry records that waited': backlog,
        'seconds until they were sent': Math.round(draining / 100) / 10,
        'live anomalies meanwhile': live.latencies.length,
        'stored within ms, p50': Math.round(percentile(live.latencies, 0.5)),
        'stored within ms, p99': Math.round(percentile(live.latencies, 0.99)),
        'old episodes': old.length,
        'of these marked as backlog': waited.filter(({ provenance }) => provenance === 'backlog').length,
        repeat: repeatCommand('after-an-outage', seed, hoursAway),
      });
      expect(live.latencies.length).toBeGreaterThanOrEqual(ANOMALIES_MIN);
      expect(ifAsked(percentile(live.latencies, 0.99))).toBeLessThan(STORED_P99_MS_MAX);
      expect(fresh.filter(({ provenance }) => provenance !== 'live')).toEqual([]);
      expect(old.length).toBeGreaterThan(0);
      expect(waited.filter(({ provenance }) => asked && provenance !== 'backlog')).toEqual([]);
    },
    180_000 + hoursAway * 120_000,
  );
});

async function recordsWaiting(agent: AgentProcess): Promise<number> {
  return Number((await agent.status()).lanes.telemetry['recordsWaiting']);
}

/** Sends readings of now that break a limit, each of a sensor of its own, and looks when the processor has the anomaly. */
class LiveAnomalies {
  /** Milliseconds from sending to the first look that found it stored. */
  readonly latencies: number[] = [];
  readonly #device: Device;
  readonly #sentAt = new Map<string, number>();
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: number) {
    const series = new Series({ seed: 0, sensors: 1, from: epochMs(Date.now()), stepMs: 1 });
    const ledger = new Ledger(series);
    this.#device = new Device('live', port, ledger);
    this.#device.open();
    this.#timer = setInterval(() => {
      const { index, reading } = ledger.next(0);
      const device = `${LIVE}${++this.#sent}`;
      this.#sentAt.set(device, Date.now());
      this.#device.publish(0, index, { ...reading, device, value: HIGH + 1, eventTime: epochMs(Date.now()) });
    }, ANOMALY_EVERY_MS);
  }

  /** Until the backlog is gone and enough was seen. @returns milliseconds until the backlog was gone. */
  async watch(processor: ProcessorProcess, isDraining: () => Promise<boolean>): Promise<number> {
    const began = Date.now();
    let drainedAfter: number | undefined;
    for (;;) {
      for (const { sensor, detectedAt } of await processor.anomalies(began - 1_000)) {
        const sentAt = this.#sentAt.get(sensor.device);
        if (sentAt === undefined || detectedAt < began) continue;
        this.latencies.push(Date.now() - sentAt);
        this.#sentAt.delete(sensor.device);
      }
      if (drainedAfter === undefined && !(await isDraining())) drainedAfter = Date.now() - began;
      if (drainedAfter !== undefined && this.latencies.length >= ANOMALIES_MIN) return drainedAfter;
      await pauseMs(20);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#device.close();
  }
}
