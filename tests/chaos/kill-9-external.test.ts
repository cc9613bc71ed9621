import { setTimeout as pauseMs } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { Mosquitto, mosquittoProgram } from '../../edge-agent/test/support/mosquitto.ts';
import { type Resources, resourcesPerTest, skippedIf, waitFor } from '../support/index.ts';
import type { AgentProcess } from './harness/agent-process.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, percentile, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { Random } from './harness/random.ts';
import { expectClean, judge } from './harness/verdict.ts';

const { asked, rounds = 5, seed } = chaosOptions();
const MANY_ROUNDS = 20;
/**
 * Silence after which a broker has nothing left. aedes ends a connection on which something was acknowledged that it was about to send again, and the
 * agent waits for up to two seconds before it connects anew.
 */
const IDLE_MS = asked ? 20_000 : 5_000;
const DRAIN_MS_MAX = 600_000;
/** Time from the first reading that was taken to the kill. */
const LIFE_MS = { from: 20, to: 1_000 };

/** A broker in a process of its own. */
interface Broker {
  readonly name: string;
  /** What the name of the test says if it can't run. */
  readonly why: string;
  /** @returns its port. */
  start(resources: Resources): Promise<number>;
}

const aedes = fileURLToPath(new URL('../../edge-agent/test/support/mqtt-broker.mjs', import.meta.url));
/** Its own default. */
const MOSQUITTO_IN_FLIGHT_MAX = 20;

const BROKERS: readonly Broker[] = [
  {
    name: 'aedes',
    why: '',
    start: async (resources) => Number((await resources.program(aedes, ['0']).printed(/listening on (\d+)/))[1]),
  },
  {
    name: 'mosquitto',
    why: skippedIf(mosquittoProgram === undefined, 'mosquitto is not installed'),
    start: async (resources) => (await Mosquitto.start(resources, MOSQUITTO_IN_FLIGHT_MAX)).port,
  },
];

describe('an agent at an external broker that is killed with SIGKILL at random moments under load', () => {
  const resources = resourcesPerTest();

  for (const broker of BROKERS) {
    it.skipIf(broker.why !== '')(
      `loses no reading that ${broker.name} has acknowledged, and counts none twice of those that come again${broker.why}`,
      async () => {
        progress(`${broker.name}, seed ${seed}, ${rounds} rounds`);
        const random = new Random(seed);
        const brokerPort = await broker.start(resources);
        const floor = await ChaosFloor.create(resources, {
          seed,
          // Beside other tests less is sent.
          sensors: asked ? 50 : 20,
          readingsPerSecond: asked ? 500 : 400,
          brokerPort,
        });
        const { agent, ledger, load, reader } = floor;
        const readyMs: number[] = [];
        const seen = { repeats: 0, 'kills with readings that came again': 0 };
        await agent.start();
        // The broker keeps nothing for an agent that it has never seen.
        await waitFor('the agent has subscribed', async () => (await brokerOf(agent)).ready);
        load.start();
        for (let round = 1; round <= rounds; round++) {
          await takes(agent);
          await pauseMs(random.between(LIFE_MS.from, LIFE_MS.to));
          count(await repeatsOf(agent));
          await agent.kill9();
          const startedAt = performance.now();
          await agent.start();
          await takes(agent);
          readyMs.push(performance.now() - startedAt);
          await reader.read();
          if (round % 10 === 0) progress(`round ${round} of ${rounds}: ${ledger.acknowledged} acknowledged`);
        }
        load.pause();
        await load.acknowledged();
        await waitFor('the broker has handed on everything', async () => isIdle(agent), { timeoutMs: DRAIN_MS_MAX });
        count(await repeatsOf(agent));
        // What was kept for the agent and what comes meanwhile overtake each other at the broker, so episodes are not those of an undisturbed run.
        const verdict = await judge(ledger, agent, reader, { engine: null });
        report('kill-9-external', {
          broker: broker.name,
          rounds,
          seed,
          'readings acknowledged by the broker': verdict.readings,
          'readings that came again and were known': seen.repeats,
          'kills with readings that came again': seen['kills with readings that came again'],
          'windows compared': verdict.windows,
          lost: verdict.lost,
          doubled: verdict.doubled,
          'stream violations': verdict.violations,
          'takes readings again p50 ms': Math.round(percentile(readyMs, 0.5)),
          'takes readings again p95 ms': Math.round(percentile(readyMs, 0.95)),
          repeat: repeatCommand('kill-9-external', seed, rounds),
        });
        expectClean(verdict);
        expect(verdict.readings).toBeGreaterThan(rounds);
        // A few kills may all come when the broker has heard of everything.
        expect(seen.repeats).toBeGreaterThanOrEqual(rounds >= MANY_ROUNDS ? 1 : 0);

        function count(repeats: number): void {
          seen.repeats += repeats;
          if (repeats > 0) seen['kills with readings that came again'] += 1;
        }
      },
      240_000 + DRAIN_MS_MAX + rounds * 10_000,
    );
  }
});

const brokerOf = async (agent: AgentProcess): Promise<{ ready: boolean }> =>
  (await agent.status())['broker'] as { ready: boolean };

const repeatsOf = async (agent: AgentProcess): Promise<number> =>
  Number((await agent.status()).readings['duplicates'] ?? 0);

async function takes(agent: AgentProcess): Promise<void> {
  await waitFor('the agent takes readings', async () => (await agent.status()).readings.accepted > 0, {
    timeoutMs: 60_000,
    intervalMs: 10,
  });
}

/** Whether nothing has come for a while. */
async function isIdle(agent: AgentProcess): Promise<boolean> {
  const before = (await agent.status()).readings;
  await pauseMs(IDLE_MS);
  const after = (await agent.status()).readings;
  return Number(before['received']) === Number(after['received']);
}
