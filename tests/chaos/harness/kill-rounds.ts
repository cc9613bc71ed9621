import { availableParallelism, loadavg } from 'node:os';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { lookForServer } from '@floorwatch/servers';

import type { Resources } from '../../support/index.ts';
import { ChaosFloor } from './chaos-floor.ts';
import { chaosOptions, type Figures, ifAsked, percentile, progress, repeatCommand, report } from './chaos-options.ts';
import type { ChaosStore } from './chaos-store.ts';
import type { ProcessorProcess } from './processor-process.ts';
import { Random } from './random.ts';
import { judgeStore } from './store-verdict.ts';
import { judge, judgeProcessor, troublesOf } from './verdict.ts';
import type { Victim } from './victims.ts';

export const ROUNDS_IN_TESTS = 10;
/** The default of the processor, so that windows are sealed all the time and late readings correct them. */
const LATENESS_SECONDS = 30;
const READY_P95_MS_MAX = 5_000;
/** Event time passes twenty times as fast as the clock, so the first windows are sealed before the first kill. */
const WARM_UP_MS = 4_000;

export interface KillScenario<S extends ChaosStore> {
  readonly name: string;
  readonly store: S;
  /** Who may be killed. */
  victims(floor: ChaosFloor, processor: ProcessorProcess, store: S): readonly Victim[];
  /** How many of them at once. Default: 1. */
  readonly atOnce?: number;
}

/** Long enough for so many rounds on a machine that does other work too. */
export const killTimeoutMs = (rounds: number): number => 240_000 + rounds * 15_000;

/**
 * Kills parts of the whole path under load, at random moments and in the middle of what they do, and compares what the store then holds
 * with what devices had acknowledged.
 *
 * @returns what is wrong, in words.
 */
export async function killRounds<S extends ChaosStore>(
  resources: Resources,
  scenario: KillScenario<S>,
): Promise<string[]> {
  const { rounds = ROUNDS_IN_TESTS, seed, asked } = chaosOptions();
  progress(`${scenario.name}: seed ${seed}, ${rounds} rounds`);
  const random = new Random(seed);
  const floor = await ChaosFloor.create(resources, {
    seed,
    // Beside other tests less is sent.
    sensors: asked ? 50 : 10,
    readingsPerSecond: asked ? 1_000 : 200,
    processorLatenessSeconds: LATENESS_SECONDS,
    store: scenario.store,
    lateDevices: asked ? 2 : 1,
  });
  const { agent, ledger, load, reader, processor } = floor;
  if (processor === undefined) throw new Error('there is no processor');
  const victims = scenario.victims(floor, processor, scenario.store);
  const readyMs: number[] = [];
  const loads: number[] = [];
  const kills = new Map<Victim, number>(victims.map((victim) => [victim, 0]));
  await agent.start();
  load.start();
  await pauseMs(WARM_UP_MS);
  for (let round = 1; round <= rounds; round++) {
    const killed = choose(random, victims, scenario.atOnce ?? 1);
    await pauseMs(random.between(50, asked ? 2_000 : 600));
    for (const victim of killed) {
      await victim.look();
      kills.set(victim, (kills.get(victim) ?? 0) + 1);
    }
    if (round % 2 === 0) await killed[0]?.aim();
    await Promise.all(killed.map(async (victim) => victim.kill()));
    const began = performance.now();
    await Promise.all(killed.map(async (victim) => victim.revive()));
    readyMs.push(performance.now() - began);
    loads.push(loadavg()[0] ?? Number.NaN);
    if (round % 10 === 0) progress(`round ${round} of ${rounds}: ${ledger.acknowledged} acknowledged`);
  }
  for (const victim of victims) await victim.look();
  load.pause();
  await load.acknowledged();
  const stream = await judge(ledger, agent, reader);
  const shown = await judgeProcessor(ledger, agent, processor, { timeoutMs: 120_000 });
  const unverified = await processor.verify();
  const stored = await judgeStore(floor, processor, { inOrder: true });
  report(scenario.name, {
    rounds,
    seed,
    'nats-server': (await lookForServer('nats-server'))?.version ?? 'unknown',
    ...hitsOf(kills),
    'windows compared': stored.windows,
    'lost in the stream': stream.lost,
    'doubled in the stream': stream.doubled,
    'lost in the store': stored.lost,
    'doubled in the store': stored.doubled,
    'changed in the store': stored.changed,
    'corrections of sealed windows': stored.revisions,
    episodes: stored.episodes,
    'episode differences': stored.episodeDifferences,
    ...stored.balance,
    'floorwatch-processor verify': unverified.length === 0 ? 'everything adds up' : 'something does not',
    'ready again p50 ms': Math.round(percentile(readyMs, 0.5)),
    'ready again p95 ms': Math.round(percentile(readyMs, 0.95)),
    'load of the machine p50': percentile(loads, 0.5),
    'processor cores': availableParallelism(),
    repeat: repeatCommand(scenario.name, seed, rounds),
  });
  const p95 = ifAsked(percentile(readyMs, 0.95));
  return [
    ...Object.entries({ stream, 'what the processor tells': shown, 'what the store holds': stored }).flatMap(
      ([where, verdict]) => troublesOf(verdict).map((trouble) => `${where}: ${trouble}`),
    ),
    ...unverified,
    ...(stored.balance['+ unexplained'] === 0 ? [] : ['the balance does not add up']),
    ...(stored.revisions > 0 ? [] : ['no window was corrected, so nothing was shown of late readings']),
    ...(p95 < READY_P95_MS_MAX ? [] : [`ready again p95 ${Math.round(p95)} ms`]),
  ];
}

/** So many different ones, in a random order. */
function choose(random: Random, victims: readonly Victim[], count: number): Victim[] {
  const left = [...victims];
  return Array.from({ length: count }, () => left.splice(Math.floor(random.between(0, left.length)), 1)).flat();
}

function hitsOf(kills: ReadonlyMap<Victim, number>): Figures {
  const figures: Record<string, number> = {};
  for (const [{ name, hits }, times] of kills) {
    figures[`${name} killed`] = times;
    for (const [what, hit] of hits) figures[`${name} killed ${what}`] = hit;
  }
  return figures;
}
