import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { resourcesPerSuite, waitFor } from '../support/index.ts';
import { startGateway } from './gateway.ts';
import { cpuSeconds, residentMb } from './process-cost.ts';
import { publish } from './report.ts';

const SENSORS = 1_000;
const CONNECTIONS = 4;
const IN_FLIGHT = 200;
const READINGS = 200_000;
const ROUNDS = 3;

const folder = path.dirname(fileURLToPath(import.meta.url));

/** What is measured: something that takes readings over MQTT and says how many it has taken. */
interface Target {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  count(): Promise<number>;
}

interface Figures {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
}

const resources = resourcesPerSuite();

/** Moving statistics, limits and the z-score alone. */
const OFF = { enabled: false };
const PLAIN = { zScore: { watch: 'always' }, adaptive: OFF, stuck: OFF, silent: OFF, noise: OFF, clock: OFF };
const PROCESS = { durability: 'process' };

it('readings per second through the agent, against what people would write themselves', async () => {
  const script = await startBroker('scoring-script.mjs', 'aedes with a z-score in its publish hook');
  const agents = [
    await startAgent('the agent, plain detectors, `process`', { storage: PROCESS, engine: PLAIN }),
    await startAgent('the agent, every detector, `process`', { storage: PROCESS }),
    await startAgent('the agent, every detector, `power`', {}),
  ];
  const targets = [await startBroker('counting-broker.mjs', 'aedes that only counts'), script, ...agents];
  const rows: string[][] = [];
  for (const qos of [0, 1] as const) {
    // Warm all up, then take turns: what else the machine does then meets all alike. The best round has been disturbed least.
    for (const target of targets) await measure(target, qos);
    const rounds = new Map<Target, Figures[]>(targets.map((target) => [target, []]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const [target, figures] of rounds) figures.push(await measure(target, qos));
    }
    const against = best(rounds.get(script) ?? []);
    for (const [target, figures] of rounds) rows.push(row(qos, target.name, best(figures), against));
  }
  for (const { name, pid } of [script, ...agents]) {
    rows.push(['', `resident memory afterwards: ${name}`, `${residentMb(pid).toFixed(0)} MB`, '', '']);
  }
  expect(rows).toHaveLength(2 * targets.length + agents.length + 1);
  publish({
    name: 'agent-throughput',
    columns: ['QoS', 'what', 'readings/s', 'CPU per reading', 'CPU against the script'],
    rows,
  });
});

function row(qos: number, name: string, figures: Figures, against: Figures): string[] {
  const ratio = figures.cpuMicroseconds / against.cpuMicroseconds;
  return [
    String(qos),
    name,
    Math.round(figures.perSecond).toLocaleString('en'),
    `${figures.cpuMicroseconds.toFixed(1)} µs`,
    `${ratio.toFixed(2)} ×`,
  ];
}

const best = (figures: readonly Figures[]): Figures => ({
  perSecond: Math.max(...figures.map(({ perSecond }) => perSecond)),
  cpuMicroseconds: Math.min(...figures.map(({ cpuMicroseconds }) => cpuMicroseconds)),
});

/** Publishes READINGS as fast as the target takes them, from another process, and waits until it has counted every one. */
async function measure(target: Target, qos: 0 | 1): Promise<Figures> {
  const before = await target.count();
  const [cpu, start] = [cpuSeconds(target.pid), performance.now()];
  const parameters = [target.port, qos, READINGS, SENSORS, CONNECTIONS, IN_FLIGHT].map(String);
  const [code] = (await once(fork(path.join(folder, 'load-generator.mjs'), parameters, { silent: true }), 'exit')) as [
    number,
  ];
  expect(code).toBe(0);
  await waitFor(`${target.name} has counted all readings`, async () => (await target.count()) - before >= READINGS, {
    timeoutMs: 120_000,
    intervalMs: 20,
  });
  const seconds = (performance.now() - start) / 1_000;
  expect((await target.count()) - before).toBe(READINGS);
  return { perSecond: READINGS / seconds, cpuMicroseconds: ((cpuSeconds(target.pid) - cpu) / READINGS) * 1e6 };
}

async function startBroker(file: string, name: string): Promise<Target> {
  const child = fork(path.join(folder, file));
  resources.defer(() => child.kill());
  const { port } = await answer<{ port: number }>(child);
  return {
    name,
    port,
    pid: child.pid ?? 0,
    count: async () => {
      child.send({});
      return (await answer<{ count: number }>(child)).count;
    },
  };
}

async function answer<T>(child: ChildProcess): Promise<T> {
  const [message] = (await once(child, 'message')) as [T];
  return message;
}

async function startAgent(name: string, configuration: Parameters<typeof startGateway>[1]): Promise<Target> {
  const { mqttPort: port, pid, accepted } = await startGateway(resources, configuration);
  return { name, port, pid, count: accepted };
}
