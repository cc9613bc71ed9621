import { httpToken, messageOf, StartError } from '@floorwatch/runtime';

import type { AgentConfig } from '../config.ts';
import { limits } from '../limits.ts';
import type { AgentView } from '../status/agent-view.ts';
import type { RejectView } from '../ingest/reject-log.ts';

/** What the agent's own page says. */
export type AgentStatus = AgentView & { readonly lastRejects: readonly RejectView[] };

/**
 * Whether the agent of a configuration runs, and what it tells.
 *
 * - `running`: its page answers.
 * - `stopped`: nothing listens where its page would be.
 * - `hidden`: something is there, or may be, and does not tell; `why` in words.
 */
export type AgentProbe =
  | { readonly state: 'running'; readonly status: AgentStatus; readonly address: string; readonly memoryBytes?: number }
  | { readonly state: 'stopped'; readonly address: string }
  | { readonly state: 'hidden'; readonly address: string; readonly why: string };

/** Asks the agent's page, once. Never throws. */
export async function probeAgent(config: AgentConfig): Promise<AgentProbe> {
  const address = pageAddress(config.http);
  if (config.http.port === 0) {
    return { state: 'hidden', address, why: 'http.port is 0, so its page is at another port with every start' };
  }
  try {
    const token = await httpToken(config.http);
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const get = async (path: string): Promise<Response> =>
      fetch(`${address}${path}`, { headers, redirect: 'error', signal: AbortSignal.timeout(limits.doctorAskMsMax) });
    const response = await get('/status');
    if (response.status === 401) {
      return {
        state: 'hidden',
        address,
        why: 'its page refuses the token; the agent may have been started with another',
      };
    }
    const status: unknown = response.ok ? await response.json() : undefined;
    if (!isStatus(status)) return { state: 'hidden', address, why: 'what answers there is no floorwatch agent' };
    if (status.site !== config.site || status.gateway !== config.gateway) {
      return { state: 'hidden', address, why: `the agent there is ${status.site}/${status.gateway}, another gateway` };
    }
    const memoryBytes = await residentMemory(await get('/metrics'));
    return { state: 'running', status, address, ...(memoryBytes === undefined ? {} : { memoryBytes }) };
  } catch (error) {
    if (error instanceof StartError) return { state: 'hidden', address, why: error.message };
    const code = error instanceof Error ? codeOf(error.cause) : undefined;
    if (code === 'ECONNREFUSED') return { state: 'stopped', address };
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
    return { state: 'hidden', address, why: `its page does not answer: ${cause}` };
  }
}

/** Where a program on this machine reaches the page. */
function pageAddress({ host, port }: AgentConfig['http']): string {
  const near = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${near.includes(':') ? `[${near}]` : near}:${port}`;
}

function codeOf(cause: unknown): string | undefined {
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  return first instanceof Error && 'code' in first && typeof first.code === 'string' ? first.code : undefined;
}

/** Whether it looks like the status of an agent of this release, or one near it. */
function isStatus(value: unknown): value is AgentStatus {
  if (typeof value !== 'object' || value === null) return false;
  const parts = ['site', 'gateway', 'readings', 'broker', 'nats', 'lanes', 'troubles', 'lastRejects'] as const;
  return parts.every((part) => part in value);
}

async function residentMemory(response: Response): Promise<number | undefined> {
  const match = /^floorwatch_agent_process_resident_memory_bytes (\d+)/m.exec(response.ok ? await response.text() : '');
  return match?.[1] === undefined ? undefined : Number(match[1]);
}
