import path from 'node:path';

import { epochMs, hours } from '@floorwatch/contracts';
import { inspectLog } from '@floorwatch/segment-log';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../support/index.ts';
import { AgentProcess } from './harness/agent-process.ts';
import { chaosOptions, percentile, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { Ledger } from './harness/ledger.ts';
import { Load } from './harness/load.ts';
import { Random } from './harness/random.ts';
import { Series } from './harness/series.ts';
import { StreamOracle } from './harness/stream-oracle.ts';
import { createIngestStream, StreamReader } from './harness/stream-reader.ts';
import { ENGINE, expectClean, IGNORED_SENSORS, judge } from './harness/verdict.ts';

const ROUNDS = 10;
const SENSORS = 50;
const READINGS_PER_SECOND = 1_000;
/** Time from ready to kill. */
const LIFE_MS = { from: 50, to: 2_000 };
const READY_P95_MS_MAX = 5_000;

const { rounds = ROUNDS, seed } = chaosOptions();

describe('an agent that is killed with SIGKILL at random moments under load', () => {
  const resources = resourcesPerTest();

  it(
    'loses no acknowledged reading, counts none twice, and finds the same episodes as one that is never disturbed',
    async () => {
      progress(`seed ${seed}, ${rounds} rounds`);
      const random = new Random(seed);
      const nats = await resources.nats();
      await createIngestStream(nats.url);
      const reader = await StreamReader.connect(nats.url, new StreamOracle(IGNORED_SENSORS));
      resources.defer(async () => reader.close());
      const agent = await AgentProcess.create(resources, nats.url, { config: { engine: ENGINE } });
      // Event time passes twenty times as fast as the clock, so that rollups go out at every moment.
      const series = new Series({ seed, sensors: SENSORS, from: epochMs(Date.now() - hours(24)), stepMs: 1_000 });
      const ledger = new Ledger(series);
      const load = new Load(ledger, { port: agent.mqttPort, readingsPerSecond: READINGS_PER_SECOND, seed });
      resources.defer(() => load.close());

      const hits = { inFlight: 0, torn: 0, written: 0, midCommit: 0 };
      const readyMs: number[] = [];
      let torn = 0;
      const countHit = async (): Promise<void> => {
        // Repeats that the agent knows: it had written them, and was killed before it could acknowledge them.
        const written = Number((await agent.status()).readings['duplicates'] ?? 0);
        if (torn > 0) hits.torn += 1;
        if (written > 0) hits.written += 1;
        if (torn > 0 || written > 0) hits.midCommit += 1;
      };
      await agent.start();
      load.start();
      for (let round = 1; round <= rounds; round++) {
        await pauseMs(random.between(LIFE_MS.from, LIFE_MS.to));
        await countHit();
        await agent.kill9();
        const inFlight = load.pending;
        torn = await tornBytes(agent.dataDir);
        const acknowledged = ledger.acknowledged;
        const began = performance.now();
        await agent.spawn();
        await waitFor(
          'the agent acknowledges again',
          () => ledger.acknowledged > acknowledged || !agent.program.isRunning,
          {
            timeoutMs: 60_000,
            intervalMs: 5,
          },
        );
        expect(agent.program.isRunning, agent.program.output()).toBe(true);
        readyMs.push(performance.now() - began);
        if (inFlight > 0) hits.inFlight += 1;
        await reader.read();
        if (round % 10 === 0)
          progress(`round ${round} of ${rounds}: ${ledger.acknowledged} acknowledged, ${hits.midCommit} hit a commit`);
      }
      load.pause();
      await load.acknowledged();
      await countHit();
      const verdict = await judge(ledger, agent, reader);
      report('kill-9', {
        rounds,
        seed,
        'readings acknowledged': verdict.readings,
        'readings sent again': ledger.repeats,
        'windows compared': verdict.windows,
        lost: verdict.lost,
        doubled: verdict.doubled,
        episodes: verdict.episodes,
        'stream violations': verdict.violations,
        'episode differences': verdict.episodeDifferences,
        'ready again p50 ms': Math.round(percentile(readyMs, 0.5)),
        'ready again p95 ms': Math.round(percentile(readyMs, 0.95)),
        'kills with readings in flight': hits.inFlight,
        'kills in the middle of a commit': hits.midCommit,
        'of these with a torn frame': hits.torn,
        'of these written and not yet acknowledged': hits.written,
        repeat: repeatCommand('kill-9', seed, rounds),
      });
      expectClean(verdict);
      expect(verdict.episodes).toBeGreaterThan(SENSORS);
      expect(percentile(readyMs, 0.95)).toBeLessThan(READY_P95_MS_MAX);
    },
    120_000 + rounds * 10_000,
  );
});

/** Bytes behind the last whole frame of the journal and of both lanes. */
async function tornBytes(dataDir: string): Promise<number> {
  const reports = await Promise.all(
    ['journal', 'anomaly', 'telemetry'].map(async (log) => inspectLog(path.join(dataDir, log)).catch(() => undefined)),
  );
  return reports.reduce((sum, log) => sum + (log?.segments.at(-1)?.tornBytes ?? 0), 0);
}

const pauseMs = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
