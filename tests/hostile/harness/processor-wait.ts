import { readFileSync } from 'node:fs';

/**
 * How long the main threads of some processes have been ready to run and waited for a processor so far, in milliseconds: what other programs cost
 * them, and nothing that they do themselves. A process that has ended does not count.
 */
export function waitedForProcessorMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + waitedMs(pid), 0);
}

function waitedMs(pid: number): number {
  try {
    // Time on a processor, time waiting for one, and turns (Linux, Documentation/scheduler/sched-stats).
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}
