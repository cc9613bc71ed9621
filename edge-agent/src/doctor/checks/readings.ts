import { counted, minutes } from '@floorwatch/contracts';

import { REJECT_REASONS, type RejectReason } from '../../ingest/reject.ts';
import type { AgentStatus } from '../agent-probe.ts';
import type { Check } from '../check.ts';
import { type Finding, notice, ok, warning } from '../finding.ts';

/** Share of all readings from which rejects are no accident. */
const REJECTED_SHARE_WARNED = 0.01;
/** Reasons that are told one by one. */
const REASONS_SHOWN = 5;

/** What becomes of what devices send. */
export const checkReadings: Check = {
  name: 'readings',
  of: 'gateway',
  async run({ agent }) {
    return agent.state === 'running' ? judgeReadings(agent.status) : [];
  },
};

export function judgeReadings(
  status: Pick<AgentStatus, 'readings' | 'lastRejects' | 'at' | 'startedAt' | 'sensors'>,
): Finding[] {
  const { readings, sensors, at, startedAt } = status;
  const { received, accepted, rejected, duplicates } = readings;
  if (received === 0) {
    const finding = 'no reading has come since the agent was started';
    const remedy = 'see whether the devices are connected, and publish to the topics that the configuration names';
    return [at - startedAt > minutes(5) ? warning(finding, remedy, 'readings-rejected') : notice(finding)];
  }
  const facts = `${received} received from ${counted(sensors, 'sensor')}: ${accepted} accepted, ${rejected} rejected, ${duplicates} sent again`;
  return rejected === 0 ? [ok(facts)] : [ok(facts), ...ofRejects(status)];
}

function ofRejects({ readings, lastRejects }: Pick<AgentStatus, 'readings' | 'lastRejects'>): Finding[] {
  const byReason = Object.entries(readings.rejectedByReason)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .slice(0, REASONS_SHOWN);
  return byReason.map(([reason, count]) => {
    const last = lastRejects.find((reject) => reject.reason === reason);
    const example = last === undefined ? '' : `, the last one on ${last.topic}`;
    const finding = `${count} rejected (${reason})${example}`;
    const remedy = REJECT_REASONS[reason as RejectReason];
    return count >= readings.received * REJECTED_SHARE_WARNED
      ? warning(finding, remedy, 'readings-rejected')
      : notice(finding, remedy);
  });
}
