import { setTimeout as pauseMs } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../support/index.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, ifAsked, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { drain, MemoryWatch } from './harness/drain.ts';
import { expectClean, judge } from './harness/verdict.ts';

/** Hours without NATS; a day by `npm run chaos -- --scenario day-without-nats --rounds 24`. */
const ROUNDS = 1;
/** Each with a reading every 10 s: ten readings a second, and each becomes a rollup of its own. */
const SENSORS = 100;
const STEP_MS = 10_000;
const READINGS_PER_HOUR = (SENSORS * 3_600_000) / STEP_MS;
const DRAIN_PER_SECOND_MIN = 5_000;
const RESIDENT_BYTES_MAX = 150 * 1024 * 1024;
const MIB = 1024 * 1024;

const { rounds: hoursAway = ROUNDS, seed } = chaosOptions();

describe(`a gateway that has no NATS server for ${hoursAway} hours of event time`, () => {
  const resources = resourcesPerTest();

  it(
    'keeps every record on its disk, and delivers them all when the server is back',
    async () => {
      progress(`seed ${seed}, ${hoursAway} hours, ${hoursAway * READINGS_PER_HOUR} readings`);
      const { nats, agent, ledger, load, reader, processor } = await ChaosFloor.create(resources, {
        seed,
        sensors: SENSORS,
        readingsPerSecond: 30_000,
        stepMs: STEP_MS,
        backHours: hoursAway + 24,
        processorLatenessSeconds: 3_600,
      });
      const memory = new MemoryWatch(agent);
      await agent.start();
      await nats.stop();
      load.start();
      const began = performance.now();
      await waitFor(
        'everything was read',
        async () => {
          await memory.look();
          progress(
            `${ledger.made} of ${hoursAway * READINGS_PER_HOUR} readings, ${Math.round(memory.last / MIB)} MiB resident`,
          );
          return ledger.made >= hoursAway * READINGS_PER_HOUR;
        },
        { timeoutMs: 30 * 60_000, intervalMs: 1_000 },
      );
      load.pause();
      await load.acknowledged();
      const takenSeconds = (performance.now() - began) / 1_000;
      await pauseMs(1_000);
      await nats.start();
      const drained = await drain(agent, memory);
      const verdict = await judge(ledger, agent, reader);
      report('day-without-nats', {
        hours: hoursAway,
        seed,
        'readings acknowledged': verdict.readings,
        'readings taken per second': Math.round(verdict.readings / takenSeconds),
        lost: verdict.lost,
        doubled: verdict.doubled,
        'drained in seconds': Math.round(drained.seconds * 10) / 10,
        'rollups drained per second': Math.round(verdict.readings / drained.seconds),
        'resident MiB, highest': Math.round(memory.highest / MIB),
        'resident MiB after the first tenth': Math.round(memory.early / MIB),
        repeat: repeatCommand('day-without-nats', seed, hoursAway),
      });
      expectClean(verdict);
      expect(processor?.program.isRunning).toBe(true);
      expect(ifAsked(drained.seconds)).toBeLessThan(verdict.readings / DRAIN_PER_SECOND_MIN);
      expect(memory.highest).toBeLessThan(RESIDENT_BYTES_MAX);
    },
    180_000 + hoursAway * 120_000,
  );
});
