import { waitFor } from '../../support/index.ts';
import type { AgentProcess } from './agent-process.ts';
import { progress } from './chaos-options.ts';

const MIB = 1024 * 1024;

/** Waits until the agent has sent everything. */
export async function drain(agent: AgentProcess, memory: MemoryWatch): Promise<{ readonly seconds: number }> {
  const began = performance.now();
  await waitFor(
    'everything is sent',
    async () => {
      await memory.look();
      const { lanes } = await agent.status();
      const waiting = Object.values(lanes).reduce((sum, lane) => sum + Number(lane['recordsWaiting']), 0);
      progress(`${waiting} records wait, ${Math.round(memory.last / MIB)} MiB resident`);
      // A tick may come at any moment.
      return waiting <= 1;
    },
    { timeoutMs: 10 * 60_000, intervalMs: 200 },
  );
  return { seconds: (performance.now() - began) / 1_000 };
}

/** The agent's resident memory over time. */
export class MemoryWatch {
  highest = 0;
  last = 0;
  readonly #agent: AgentProcess;
  readonly #samples: number[] = [];

  constructor(agent: AgentProcess) {
    this.#agent = agent;
  }

  async look(): Promise<void> {
    this.last = await this.#agent.residentBytes();
    this.#samples.push(this.last);
    this.highest = Math.max(this.highest, this.last);
  }

  /** What it was early on. */
  get early(): number {
    return this.#samples[Math.floor(this.#samples.length / 10)] ?? Number.NaN;
  }
}
