import { bytesInWords, counted, durationInWords, hours, type Lane, LANES, minutes } from '@floorwatch/contracts';

import type { AgentStatus } from '../agent-probe.ts';
import type { Check } from '../check.ts';
import { type Finding, notice, ok, warning } from '../finding.ts';

/** Waiting longer than this while NATS is there means that it drains too slowly. */
const UNSENT_MS_WARNED = hours(1);
const UNSENT_MS_TOLD = minutes(1);

/** What waits for the cloud, and for how long. */
export const checkSpool: Check = {
  name: 'spool',
  of: 'gateway',
  async run({ agent }) {
    return agent.state === 'running' ? LANES.map((lane) => judgeLane(lane, agent.status)) : [];
  },
};

export function judgeLane(lane: Lane, { lanes, nats, at }: Pick<AgentStatus, 'lanes' | 'nats' | 'at'>): Finding {
  const { recordsWaiting, bytes, bytesMax, oldestUnsentAt, uncommittedBytes } = lanes[lane];
  const share = `${bytesInWords(bytes)} of ${bytesInWords(bytesMax)} are used`;
  const uncommitted =
    uncommittedBytes === 0 ? '' : `, ${bytesInWords(uncommittedBytes)} sent and not yet safe in the cloud`;
  const facts = `lane ${lane}: ${counted(recordsWaiting, 'record')} to send${uncommitted}; ${share}`;
  const age = oldestUnsentAt === null ? 0 : at - oldestUnsentAt;
  if (age > UNSENT_MS_WARNED && nats.connected) {
    const finding = `${facts}; the oldest waits for ${durationInWords(age)}`;
    return warning(finding, 'see whether the connection to NATS is too slow, or breaks again and again', 'nats');
  }
  return age > UNSENT_MS_TOLD ? notice(`${facts}; the oldest waits for ${durationInWords(age)}`) : ok(facts);
}
