import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';

import { days } from '@floorwatch/contracts';

import { readClockQuality } from '../../status/clock-quality.ts';
import type { MachineCheck } from '../check.ts';
import { critical, type Finding, notice, ok, warning } from '../finding.ts';

/** Clocks without a battery begin at 1970, or where the machine was switched off. */
const PLAUSIBLE_FROM = Date.UTC(2026, 0, 1);

/** Whether the clock is right: event times, windows and certificates depend on it. */
export const checkClock: MachineCheck = {
  name: 'clock',
  of: 'machine',
  async run({ signal }) {
    const now = Date.now();
    const installedAt = await stat(process.argv[1] ?? process.execPath).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    const synchronised = (await readClockQuality()) === 'synchronised' || (await askSystem(signal));
    return [judgeClock(now, installedAt, synchronised)];
  },
};

/**
 * @param installedAt when the agent's files were written; the clock can't be before it.
 * @param synchronised undefined: the system does not say.
 */
export function judgeClock(now: number, installedAt: number, synchronised: boolean | undefined): Finding {
  const told = inWords(now);
  const remedy = 'set up a time service (systemd-timesyncd, chrony) that this gateway can reach';
  if (now < PLAUSIBLE_FROM || now < installedAt - days(1)) {
    const finding = `the clock says ${told}, which is in the past; readings without a time of their own get it`;
    return critical(finding, `set it, and ${remedy}`, 'clock');
  }
  if (synchronised === undefined) {
    return notice(
      `the clock says ${told}; the system does not tell whether a time service keeps it right`,
      `look at it, or ${remedy}`,
    );
  }
  if (!synchronised) return warning(`the clock says ${told}, and no time service keeps it right`, remedy, 'clock');
  return ok(`a time service keeps the clock right; it says ${told}`);
}

const inWords = (at: number): string => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** What the kernel was told by whatever time service there is, through systemd's command; undefined where that is missing. */
async function askSystem(signal: AbortSignal): Promise<boolean | undefined> {
  try {
    const { stdout } = await promisify(execFile)('timedatectl', ['show', '--property=NTPSynchronized', '--value'], {
      signal,
      timeout: 3_000,
    });
    return stdout.trim() === 'yes' ? true : stdout.trim() === 'no' ? false : undefined;
  } catch {
    return undefined;
  }
}
