import { waitFor } from '../../support/index.ts';
import type { AgentProcess } from './agent-process.ts';

interface Lane {
  readonly progress?: { readonly alarms: readonly { readonly kind: string; readonly what: string }[] };
}

/** Waits until one of the agents raises the alarm `identity`, and gives what it says. */
export async function identityAlarms(...agents: readonly AgentProcess[]): Promise<string[]> {
  return waitFor(
    'the alarm "identity" is raised',
    async () => {
      const all = await Promise.all(agents.map(async (agent) => agent.status()));
      const alarms = all
        .flatMap(({ lanes }) => Object.values(lanes) as Lane[])
        .flatMap(({ progress }) => progress?.alarms ?? [])
        .filter(({ kind }) => kind === 'identity')
        .map(({ what }) => what);
      return alarms.length > 0 && alarms;
    },
    { timeoutMs: 30_000 },
  );
}
