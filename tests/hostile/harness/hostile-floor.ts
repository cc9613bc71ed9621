import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { messageOf } from '@floorwatch/runtime';

import { readingsOfJournal } from '../../../edge-agent/test/support/journal-readings.ts';
import { AgentProcess } from '../../chaos/harness/agent-process.ts';
import { Random } from '../../chaos/harness/random.ts';
import type { Resources } from '../../support/index.ts';
import { GoodDevices, readingKey, type Span } from './good-devices.ts';
import type { HostileCase } from './hostile-case.ts';
import { RawClient } from './raw-client.ts';
import { EARLY, usersText } from './users.ts';

const MEMORY = '/dev/shm';
const DEVICES = 10;
const READINGS_PER_SECOND = 400;
/** Until the agent has the memory that it needs for its work. */
const WARM_UP_MS = 2_000;
const WARM_UP_READINGS_MIN = 600;
/** Time without an attack that an attack is compared with, before and after it. */
const CALM_MS = 400;
const CALM_READINGS_MIN = 100;
/** Memory during attacks, compared with before. */
const MEMORY_RATIO_MAX = 1.5;

/** What an attack did to the good devices. */
export interface Suffered {
  /** p99 of PUBACKs during the attack, compared with that of the calm before and after it. */
  readonly p99Ratio: number;
  readonly p99Ms: number;
  readonly calmP99Ms: number;
}

/** The built agent and good devices that send to it; attacks come one after the other. */
export class HostileFloor {
  readonly agent: AgentProcess;
  readonly devices: GoodDevices;
  readonly #seed: number;
  #calmBytes = 0;

  private constructor(agent: AgentProcess, seed: number) {
    this.agent = agent;
    this.devices = new GoodDevices(DEVICES, READINGS_PER_SECOND, agent.program.pid ?? 0);
    this.#seed = seed;
  }

  /** Starts everything, and waits until the agent is at its usual work. */
  static async start(resources: Resources, seed: number): Promise<HostileFloor> {
    const usersFile = path.join(await resources.directory(), 'users');
    await writeFile(usersFile, await usersText(), { mode: 0o600 });
    // NATS is away: what is sent is not the matter here. Snapshots would trim the journal, which is looked at in the end.
    const agent = await AgentProcess.create(resources, 'nats://127.0.0.1:1', {
      dataDir: await memoryDirectory(resources),
      config: { broker: { usersFile }, storage: { snapshotMs: 3_600_000, snapshotReadings: 10_000_000 } },
    });
    await agent.start();
    const floor = new HostileFloor(agent, seed);
    await floor.devices.connect(agent.mqttPort);
    resources.defer(() => floor.devices.stop());
    floor.devices.start();
    for (const user of EARLY) {
      const client = await RawClient.connect(agent.mqttPort, user);
      await client.hears('connack');
      client.vanish();
    }
    const from = performance.now();
    do await pauseMs(WARM_UP_MS);
    while (floor.devices.answeredIn({ from, to: performance.now() }) < WARM_UP_READINGS_MIN);
    floor.#calmBytes = await agent.residentBytes();
    // From here on the system looks for the highest memory.
    await writeFile(`/proc/${agent.program.pid ?? 0}/clear_refs`, '5');
    return floor;
  }

  /** Has a case attack once. */
  async suffer(hostile: HostileCase, round: number): Promise<Suffered> {
    const clients: RawClient[] = [];
    const attack = hostile.prepare(new Random(this.#seed + round), round);
    const before = await this.#calm();
    const from = performance.now();
    try {
      await attack({
        port: this.agent.mqttPort,
        devices: this.devices,
        connect: async (options, localAddress) => {
          const client = await RawClient.connect(this.agent.mqttPort, options, localAddress);
          clients.push(client);
          return client;
        },
        refused: async (reason) => this.#refused(reason),
      });
    } catch (error) {
      throw new Error([messageOf(error), ...(await this.troubles())].join('; '), { cause: error });
    } finally {
      for (const client of clients) client.vanish();
    }
    const attacked = { from, to: performance.now() };
    // What is left of the attack belongs to neither.
    await this.devices.answered();
    const after = await this.#calm();
    const p99Ms = this.devices.p99([attacked]);
    const calmP99Ms = this.devices.p99([before, after]);
    return { p99Ms, calmP99Ms, p99Ratio: p99Ms / calmP99Ms };
  }

  /** Lets the good devices send for a while, however long they need for it on a machine that has no time for them. */
  async #calm(): Promise<Span> {
    const from = performance.now();
    do await pauseMs(CALM_MS);
    while (this.devices.answeredIn({ from, to: performance.now() }) < CALM_READINGS_MIN);
    return { from, to: performance.now() };
  }

  /** What is wrong with the agent now; empty: nothing. */
  async troubles(): Promise<string[]> {
    const { program } = this.agent;
    if (!program.isRunning) return [`the agent has ended:\n${program.output()}`];
    const ratio = await this.memoryRatio();
    return [
      ...(this.devices.lost === 0 ? [] : [`${this.devices.lost} good devices lost their connection`]),
      ...(ratio <= MEMORY_RATIO_MAX
        ? []
        : [
            `the agent needed ${ratio.toFixed(2)} times as much memory as before (${Math.round(this.#calmBytes / 2 ** 20)} MiB)`,
          ]),
    ];
  }

  /** The highest resident memory since the first attack, compared with that before it. */
  async memoryRatio(): Promise<number> {
    return (await this.#highestBytes()) / this.#calmBytes;
  }

  /** Kills the agent and compares what it acknowledged with what its journal holds. */
  async judgeJournal(): Promise<{ readonly acknowledged: number; readonly missing: number; readonly doubled: number }> {
    await this.devices.answered();
    this.devices.stop();
    await this.agent.kill9();
    const times = new Map<string, number>();
    for await (const { device, seq } of readingsOfJournal(path.join(this.agent.dataDir, 'journal'))) {
      const key = readingKey(device, seq ?? -1);
      times.set(key, (times.get(key) ?? 0) + 1);
    }
    const { acknowledged } = this.devices;
    const counts = [...acknowledged].map((key) => times.get(key) ?? 0);
    return {
      acknowledged: acknowledged.size,
      missing: counts.filter((count) => count === 0).length,
      doubled: counts.filter((count) => count > 1).length,
    };
  }

  async #refused(reason: string): Promise<number> {
    const { door } = (await this.agent.status())['broker'] as { door: Record<string, { count: number } | undefined> };
    return door[reason]?.count ?? 0;
  }

  /** The highest memory since the start of the attacks, in bytes, as the system counts it. */
  async #highestBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.agent.program.pid ?? 0}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1_024;
  }
}

/** A folder in memory where there is one: what other programs write to the disk must not count. */
async function memoryDirectory(resources: Resources): Promise<string> {
  if (!existsSync(MEMORY)) return resources.directory();
  const directory = await mkdtemp(path.join(MEMORY, 'floorwatch-test-'));
  resources.defer(async () => rm(directory, { recursive: true, force: true }));
  return directory;
}
