import path from 'node:path';

import { inspectLog } from '@floorwatch/segment-log';

import { waitFor } from '../../support/index.ts';
import type { AgentProcess } from './agent-process.ts';
import type { ChaosFloor } from './chaos-floor.ts';

/** Starts the agent again. Resolves when a device hears an acknowledgement. */
export async function reviveAgent({ agent, ledger }: Pick<ChaosFloor, 'agent' | 'ledger'>): Promise<void> {
  const acknowledged = ledger.acknowledged;
  await agent.spawn();
  await waitFor('the agent acknowledges again', () => ledger.acknowledged > acknowledged || !agent.program.isRunning, {
    timeoutMs: 60_000,
    intervalMs: 5,
  });
  if (!agent.program.isRunning) throw new Error(`the agent has ended:\n${agent.program.output()}`);
}

/** How often a kill of the agent really hit something. */
export class AgentKills {
  inFlight = 0;
  torn = 0;
  written = 0;
  midCommit = 0;
  #hasTorn = false;
  #hasKilled = false;

  /** After a kill, before the next start. */
  async count(agent: AgentProcess, pending: number): Promise<void> {
    this.#hasKilled = true;
    this.#hasTorn = (await tornBytes(agent.dataDir)) > 0;
    if (pending > 0) this.inFlight += 1;
    if (this.#hasTorn) this.torn += 1;
  }

  /**
   * Before the next kill, when devices have sent again what they had in flight. Repeats that the agent knows were written when it was
   * killed, and it could not acknowledge them any more.
   */
  async look(agent: AgentProcess): Promise<void> {
    if (!this.#hasKilled) return;
    const hasWritten = Number((await agent.status()).readings['duplicates'] ?? 0) > 0;
    if (hasWritten) this.written += 1;
    if (hasWritten || this.#hasTorn) this.midCommit += 1;
  }
}

/** Bytes behind the last whole frame of the journal and of both lanes. */
async function tornBytes(dataDir: string): Promise<number> {
  const reports = await Promise.all(
    ['journal', 'anomaly', 'telemetry'].map(async (log) => inspectLog(path.join(dataDir, log)).catch(() => undefined)),
  );
  return reports.reduce((sum, log) => sum + (log?.segments.at(-1)?.tornBytes ?? 0), 0);
}
