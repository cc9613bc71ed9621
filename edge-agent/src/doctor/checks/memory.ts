import { bytesInWords } from '@floorwatch/contracts';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { MachineCheck } from '../check.ts';
import { critical, type Finding, ok, warning } from '../finding.ts';

const MIB = 1024 * 1024;
/** Below this the kernel soon ends a process, and it ends the largest. */
const AVAILABLE_CRITICAL = 48 * MIB;
const AVAILABLE_WARNED = 128 * MIB;
/** Of the memory that the agent's control group may have. */
const GROUP_SHARE_WARNED = 0.9;

/** How much memory this machine has left. */
export const checkMemory: MachineCheck = {
  name: 'memory',
  of: 'machine',
  async run({ system }) {
    const text = await readFile(join(system.proc, 'meminfo'), 'utf8').catch(() => '');
    const [total, available] = [kibOf(text, 'MemTotal'), kibOf(text, 'MemAvailable')];
    if (total === undefined || available === undefined)
      return [ok('this system does not tell how much memory is free')];
    const facts = `${bytesInWords(available)} of ${bytesInWords(total)} of this machine's memory are available`;
    const remedy = 'stop what else runs here, or lower sensorsMax; when there is none left the system ends the agent';
    if (available < AVAILABLE_CRITICAL) return [critical(facts, remedy, 'memory')];
    if (available < AVAILABLE_WARNED) return [warning(facts, remedy, 'memory')];
    return [ok(facts), ...(await groupOf(system.sys))];
  },
};

/** The limit that a container or a systemd unit puts on this command, and so most likely on the agent beside it. */
async function groupOf(sys: string): Promise<Finding[]> {
  const read = async (name: string): Promise<number> =>
    Number(await readFile(join(sys, 'fs/cgroup', name), 'utf8').catch(() => 'none'));
  const [max, current] = [await read('memory.max'), await read('memory.current')];
  if (!(current > max * GROUP_SHARE_WARNED)) return [];
  const finding = `this container uses ${bytesInWords(current)} of the ${bytesInWords(max)} of memory that it may have`;
  return [warning(finding, 'give it more, or lower sensorsMax', 'memory')];
}

function kibOf(text: string, name: string): number | undefined {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text);
  return match?.[1] === undefined ? undefined : Number(match[1]) * 1024;
}
