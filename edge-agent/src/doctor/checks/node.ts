import type { MachineCheck } from '../check.ts';
import { critical, notice, ok } from '../finding.ts';

const OLDEST = { major: 20, minor: 19 } as const;

/** Last day with security fixes, from the release schedule of Node.js (https://github.com/nodejs/Release). */
const SUPPORTED_UNTIL: Readonly<Record<number, string>> = {
  20: '2026-04-30',
  22: '2027-04-30',
  24: '2028-04-30',
};

/** Whether this Node.js is new enough, and still gets security fixes. */
export const checkNode: MachineCheck = {
  name: 'node',
  of: 'machine',
  async run() {
    return [judgeNode(process.versions.node, new Date())];
  },
};

export function judgeNode(version: string, today: Date): ReturnType<typeof ok> {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
    const remedy = `install Node.js ${OLDEST.major}.${OLDEST.minor} or newer`;
    return critical(`Node.js ${version} is too old for the agent`, remedy, 'will-not-start');
  }
  const until = SUPPORTED_UNTIL[major];
  if (until !== undefined && today.toISOString().slice(0, 10) > until) {
    return notice(`Node.js ${version} has had no security fixes since ${until}`, 'install a newer one when it suits');
  }
  return ok(`Node.js ${version}`);
}
