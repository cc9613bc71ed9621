import { readFile, realpath } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';

/** The file system that a path lies on. */
export interface Mount {
  readonly point: string;
  /** Such as `ext4`, `tmpfs`, `overlay`. */
  readonly type: string;
  /** What is mounted, such as `/dev/mmcblk0p2`. */
  readonly source: string;
  readonly readOnly: boolean;
}

/** The folder without links, or the nearest one above it that is there. */
export async function nearestFolder(folder: string): Promise<string> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await realpath(path).catch(() => undefined);
    if (found !== undefined) return found;
  }
}

/**
 * The mount that holds `path`, which must be absolute and without links; undefined where the system does not tell.
 *
 * @param proc usually `/proc`.
 */
export async function findMount(path: string, proc: string): Promise<Mount | undefined> {
  const text = await readFile(join(proc, 'self/mountinfo'), 'utf8').catch(() => '');
  // A later mount hides an earlier one at the same place.
  return text
    .split('\n')
    .flatMap((line) => parseMount(line) ?? [])
    .filter(({ point }) => path === point || path.startsWith(point.endsWith(sep) ? point : point + sep))
    .reduce<Mount | undefined>(
      (best, mount) => (mount.point.length >= (best?.point.length ?? 0) ? mount : best),
      undefined,
    );
}

/** A line such as `36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw,errors=continue` (proc_pid_mountinfo(5)). */
function parseMount(line: string): Mount | undefined {
  const [before = '', after = ''] = line.split(' - ');
  const [, , , , point, options] = before.split(' ');
  const [type, source, superOptions] = after.split(' ');
  if (point === undefined || type === undefined || source === undefined) return undefined;
  const readOnly = [options, superOptions].some((list) => list?.split(',').includes('ro'));
  return { point: unescape(point), type, source: unescape(source), readOnly };
}

/** White space and backslashes stand as octal numbers: `\040`. */
const unescape = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCodePoint(Number.parseInt(octal, 8)));
