import { bytesInWords, durationInWords } from '@floorwatch/contracts';
import type { Trouble } from '../../status/troubles.ts';
import type { Check } from '../check.ts';
import { critical, type Finding, notice, ok, warning } from '../finding.ts';
import { storageHolder } from '../storage.ts';

/** Codes of troubles that a check of its own finds too, and with more facts. */
const FOUND_ELSEWHERE: ReadonlySet<string> = new Set(['clock']);

/** Whether the agent runs, and what it says is wrong. */
export const checkAgent: Check = {
  name: 'agent',
  of: 'gateway',
  async run({ config, agent }) {
    const found = await storageHolder(config);
    const holder = found === 'unknown' ? undefined : found;
    const named = holder?.pid === undefined ? '' : ` (process ${holder.pid})`;
    if (agent.state === 'stopped') {
      if (holder === undefined) return [notice('it is not running', 'start it, if it should be')];
      const finding = `something${named} uses the data folder, but no agent answers at ${agent.address}`;
      return [
        critical(
          finding,
          'it may be starting, or be started with another configuration; look at its log',
          'will-not-start',
        ),
      ];
    }
    if (agent.state === 'hidden') {
      const finding = `it could not be asked at ${agent.address}${named}: ${agent.why}`;
      return [warning(finding, 'use the configuration, the token and the user that it runs with', 'will-not-start')];
    }
    const { status, memoryBytes, address } = agent;
    const memory = memoryBytes === undefined ? '' : `, uses ${bytesInWords(memoryBytes)} of memory`;
    const runs = `${status.version} has run for ${durationInWords(status.at - status.startedAt)}${named}${memory}; its page: ${address}`;
    return [ok(runs), ...troublesOf(agent.status.troubles)];
  },
};

const troublesOf = (troubles: readonly Trouble[]): Finding[] =>
  troubles
    .filter(({ code }) => !FOUND_ELSEWHERE.has(code))
    .map(({ severity, what, remedy, runbook }) => ({ severity, finding: what, remedy, runbook }));
