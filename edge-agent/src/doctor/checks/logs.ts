import { stat } from 'node:fs/promises';

import { bytesInWords, counted } from '@floorwatch/contracts';
import { messageOf } from '@floorwatch/runtime';
import { inspectLog, type LogReport } from '@floorwatch/segment-log';

import type { Check } from '../check.ts';
import { critical, type Finding, notice, ok } from '../finding.ts';
import { storageHolder, storageOf } from '../storage.ts';

/** Whether the logs on disk are whole. While an agent runs it has looked itself, at its start, and tells of it as a trouble. */
export const checkLogs: Check = {
  name: 'logs',
  of: 'gateway',
  // A gigabyte from an SD card.
  msMax: 90_000,
  async run({ config, agent, signal }) {
    const holder = await storageHolder(config);
    if (holder === 'unknown') return [notice('this user may not look at them', 'run the doctor as the agent’s user')];
    if (agent.state === 'running' || holder !== undefined) {
      return [ok('an agent uses them, and has looked at them when it started')];
    }
    const findings: Finding[] = [];
    for (const { name, directory } of storageOf(config).logs) {
      if (signal.aborted || (await stat(directory).catch(() => undefined)) === undefined) continue;
      findings.push(await ofLog(name, directory));
    }
    return findings.length === 0 ? [ok('there are none yet')] : findings;
  },
};

async function ofLog(name: string, directory: string): Promise<Finding> {
  try {
    return judgeLog(name, await inspectLog(directory));
  } catch (error) {
    const remedy = `see what is in ${directory}; floorwatch-agent inspect ${directory} tells more`;
    return critical(`${name}: can't be read: ${messageOf(error)}`, remedy, 'damaged-log');
  }
}

function judgeLog(name: string, { directory, segments, damage, state, next, first }: LogReport): Finding {
  const lost = damage.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
  const facts = `${name}: ${counted(next - first, 'item')} in ${counted(segments.length, 'segment')}, ${bytesInWords(bytes)}`;
  if (lost === 0 && state === 'whole') return ok(`${facts}, whole`);
  const what =
    lost > 0 ? `${counted(lost, 'item')} can't be read any more` : 'its list of marks and cursors can’t be read';
  const remedy = `copy ${directory} away before the next start; the agent goes on and reports what is lost`;
  return critical(`${facts}, DAMAGED: ${what}`, remedy, 'damaged-log');
}
