import { setTimeout as pauseMs } from 'node:timers/promises';

import { epochMs, sensorKey } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../support/index.ts';
import { acceptedBySensor } from './harness/accepted-by-sensor.ts';
import { AgentKills, reviveAgent } from './harness/agent-kills.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, ifAsked, percentile, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { Ledger } from './harness/ledger.ts';
import { Load } from './harness/load.ts';
import { Random } from './harness/random.ts';
import { Series } from './harness/series.ts';
import { expectClean, judge, judgeProcessor } from './harness/verdict.ts';

const ROUNDS = 10;
const SENSORS = 50;
const READINGS_PER_SECOND = 1_000;
/** Time from ready to kill. */
const LIFE_MS = { from: 50, to: 2_000 };
const READY_P95_MS_MAX = 5_000;
/** Windows stay open so long that what devices send again after a kill still finds them so. */
const LATENESS_SECONDS = 7_200;

const { rounds = ROUNDS, seed } = chaosOptions();
const TIMEOUT_MS = 180_000 + rounds * 10_000;

describe('an agent that is killed with SIGKILL at random moments under load', () => {
  const resources = resourcesPerTest();

  it(
    'loses no acknowledged reading, counts none twice, and finds the same episodes as one that is never disturbed',
    async () => {
      progress(`seed ${seed}, ${rounds} rounds`);
      const random = new Random(seed);
      const floor = await ChaosFloor.create(resources, {
        seed,
        sensors: SENSORS,
        readingsPerSecond: READINGS_PER_SECOND,
        processorLatenessSeconds: LATENESS_SECONDS,
      });
      const { agent, ledger, load, reader, processor } = floor;
      const kills = new AgentKills();
      const readyMs: number[] = [];
      await agent.start();
      load.start();
      for (let round = 1; round <= rounds; round++) {
        await pauseMs(random.between(LIFE_MS.from, LIFE_MS.to));
        await kills.look(agent);
        await agent.kill9();
        await kills.count(agent, load.pending);
        const startedAt = performance.now();
        await reviveAgent(floor);
        readyMs.push(performance.now() - startedAt);
        await reader.read();
        if (round % 10 === 0)
          progress(`round ${round} of ${rounds}: ${ledger.acknowledged} acknowledged, ${kills.midCommit} hit a commit`);
      }
      load.pause();
      await load.acknowledged();
      await kills.look(agent);
      const verdict = await judge(ledger, agent, reader);
      const stored = processor === undefined ? undefined : await judgeProcessor(ledger, agent, processor);
      report('kill-9', {
        rounds,
        seed,
        'readings acknowledged': verdict.readings,
        'readings sent again': ledger.repeats,
        'windows compared': verdict.windows,
        'lost in the stream': verdict.lost,
        'doubled in the stream': verdict.doubled,
        'lost in the store': stored?.lost ?? 0,
        'doubled in the store': stored?.doubled ?? 0,
        episodes: verdict.episodes,
        'stream violations': verdict.violations,
        'episode differences': verdict.episodeDifferences,
        'ready again p50 ms': Math.round(percentile(readyMs, 0.5)),
        'ready again p95 ms': Math.round(percentile(readyMs, 0.95)),
        'kills with readings in flight': kills.inFlight,
        'kills in the middle of a commit': kills.midCommit,
        'of these with a torn frame': kills.torn,
        'of these written and not yet acknowledged': kills.written,
        repeat: repeatCommand('kill-9', seed, rounds),
      });
      expectClean(verdict);
      if (stored !== undefined) expectClean(stored);
      expect(verdict.episodes).toBeGreaterThan(0);
      expect(ifAsked(percentile(readyMs, 0.95))).toBeLessThan(READY_P95_MS_MAX);
    },
    TIMEOUT_MS,
  );

  it(
    'loses and doubles nothing either where a commit takes a second and devices lose their connections meanwhile',
    async () => {
      const few = Math.max(2, Math.ceil(rounds / 5));
      const random = new Random(seed + 1);
      const floor = await ChaosFloor.create(resources, {
        seed,
        sensors: SENSORS,
        readingsPerSecond: READINGS_PER_SECOND,
        dropsPerSecond: 0.5,
        agent: { storage: { profile: 'sd-card' } },
      });
      const { agent, ledger, load, reader } = floor;
      await agent.start();
      load.start();
      for (let round = 1; round <= few; round++) {
        await pauseMs(random.between(500, 3_000));
        await agent.kill9();
        await reviveAgent(floor);
        await reader.read();
      }
      load.pause();
      await load.acknowledged();
      const verdict = await judge(ledger, agent, reader);
      report('kill-9, slow commits and flaky devices', {
        rounds: few,
        seed,
        'readings acknowledged': verdict.readings,
        'readings sent again': ledger.repeats,
        lost: verdict.lost,
        doubled: verdict.doubled,
        episodes: verdict.episodes,
        repeat: repeatCommand('kill-9', seed, rounds),
      });
      expectClean(verdict);
      expect(ledger.repeats).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    'counts equal values at whole seconds and bare numbers exactly once, where devices keep their client id and repeat with DUP',
    async () => {
      const few = Math.max(2, Math.ceil(rounds / 5));
      const random = new Random(seed + 2);
      const bare = new Series({ seed, sensors: 10, from: epochMs(0), stepMs: 1_000, form: 'bare', prefix: 'bare' });
      const bareSensors = Array.from({ length: bare.sensors }, (_, sensor) => sensorKey(bare.reading(sensor, 0)));
      const floor = await ChaosFloor.create(resources, {
        seed,
        sensors: 10,
        readingsPerSecond: 500,
        form: 'whole-seconds',
        dropsPerSecond: 0.3,
        ignoredSensors: bareSensors,
      });
      const { agent, ledger, load, reader } = floor;
      const bareLedger = new Ledger(bare);
      const bareLoad = new Load(bareLedger, {
        port: agent.mqttPort,
        readingsPerSecond: 500,
        seed,
        dropsPerSecond: 0.3,
      });
      resources.defer(() => bareLoad.close());
      const loads = [load, bareLoad];
      await agent.start();
      for (const each of loads) each.start();
      for (const each of loads) await each.repeatOnce();
      for (let round = 1; round <= few; round++) {
        await pauseMs(random.between(LIFE_MS.from, LIFE_MS.to / 2));
        await agent.kill9();
        await reviveAgent(floor);
      }
      for (const each of loads) each.pause();
      for (const each of loads) await each.acknowledged();
      const verdict = await judge(ledger, agent, reader, { engine: null });
      await agent.program.stop();
      const accepted = await acceptedBySensor(agent.dataDir);
      const made = new Map(bareSensors.map((sensor, index) => [sensor, bareLedger.madeBy(index)]));
      const counted = new Map(bareSensors.map((sensor) => [sensor, accepted.get(sensor) ?? 0]));
      report('kill-9, equal readings', {
        rounds: few,
        seed,
        'readings at whole seconds': verdict.readings,
        'of these sent again': ledger.repeats,
        lost: verdict.lost,
        doubled: verdict.doubled,
        'bare numbers': bareLedger.acknowledged,
        'of these sent again as well': bareLedger.repeats,
        repeat: repeatCommand('kill-9', seed, rounds),
      });
      expectClean(verdict);
      expect(counted).toEqual(made);
      expect(Math.min(ledger.repeats, bareLedger.repeats)).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
