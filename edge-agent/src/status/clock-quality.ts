import { access } from 'node:fs/promises';

import type { ClockQuality } from '@floorwatch/contracts';

/** systemd's time service makes this directory when it starts, and the file in it when the clock has been set from a server. */
const TIMESYNC_DIRECTORY = '/run/systemd/timesync';

/**
 * Whether the operating system keeps this machine's clock right. Only systemd-timesyncd leaves a trace that can be read without a
 * system call of its own; everything else is `unknown`, which counts as right.
 */
export async function readClockQuality(directory: string = TIMESYNC_DIRECTORY): Promise<ClockQuality> {
  if (await exists(`${directory}/synchronized`)) return 'synchronised';
  return (await exists(directory)) ? 'unsynchronised' : 'unknown';
}

const exists = async (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
