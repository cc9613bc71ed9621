import { counted } from '@floorwatch/contracts';
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import type { Check } from '../check.ts';
import { critical, type Finding, ok, warning } from '../finding.ts';
import { findMount, nearestFolder } from '../mount.ts';
import { storageOf } from '../storage.ts';

/** Of an eMMC's life, in steps of 10 %: 9 is 80 to 90 % used (JESD84-B51, DEVICE_LIFE_TIME_EST). */
const LIFE_STEP_WARNED = 9;
const LIFE_STEP_OVER = 11;

/** What the kernel has counted against the disk, as far as anybody may read it. SD cards tell nothing of their wear. */
export const checkDiskHealth: Check = {
  name: 'disk health',
  of: 'gateway',
  async run({ config, system }) {
    const folder = await nearestFolder(resolve(storageOf(config).directory));
    const mount = await findMount(folder, system.proc);
    if (mount === undefined || !mount.source.startsWith('/dev/')) return [ok('there is no disk here that could tell')];
    const partition = basename(await realpath(mount.source).catch(() => mount.source));
    const disk = await diskOf(partition, system.sys);
    const findings = [
      ...(await ofFileSystem(partition, mount.type, system.sys)),
      ...(await ofCard(disk, system.sys)),
      ...(await ofDisk(disk, system.sys)),
    ];
    return findings.length === 0 ? [ok(`the kernel tells of no errors of ${disk}`)] : findings;
  },
};

/** The disk of a partition: `mmcblk0` of `mmcblk0p2`. */
async function diskOf(partition: string, sys: string): Promise<string> {
  const path = await realpath(join(sys, 'class/block', partition)).catch(() => undefined);
  if (path === undefined) return partition;
  const isPartition = (await textOf(join(path, 'partition'))) !== undefined;
  return isPartition ? basename(dirname(path)) : partition;
}

async function ofFileSystem(partition: string, type: string, sys: string): Promise<Finding[]> {
  if (!/^ext[234]$/.test(type)) return [];
  const errors = Number((await textOf(join(sys, 'fs/ext4', partition, 'errors_count'))) ?? 0);
  if (!(errors > 0)) return [];
  const last = Number((await textOf(join(sys, 'fs/ext4', partition, 'last_error_time'))) ?? 0);
  const when = last > 0 ? `, the last one on ${new Date(last * 1_000).toISOString().slice(0, 10)}` : '';
  const finding = `the file system on ${partition} has noted ${counted(errors, 'error')}${when}`;
  return [critical(finding, 'check it (fsck) and replace the disk or the SD card if it happens again', 'disk-health')];
}

/** What an eMMC says of its wear. Cards in a slot have no such files. */
async function ofCard(disk: string, sys: string): Promise<Finding[]> {
  const device = join(sys, 'class/block', disk, 'device');
  const steps = ((await textOf(join(device, 'life_time'))) ?? '').split(/\s+/).map(Number).filter(Number.isFinite);
  const reserve = Number((await textOf(join(device, 'pre_eol_info'))) ?? 0);
  const worst = Math.max(0, ...steps);
  const remedy = 'replace it, and use storage.profile: sd-card to write less';
  // 2: 80 % of the spare blocks are used; 3: 90 % (JESD84-B51, PRE_EOL_INFO).
  if (worst >= LIFE_STEP_OVER || reserve === 3) {
    return [critical(`${disk} says that it is worn out`, `${remedy}; do not wait`, 'disk-health')];
  }
  if (worst >= LIFE_STEP_WARNED || reserve === 2) {
    return [
      warning(
        `${disk} says that it has used up ${worst > 0 ? `${(worst - 1) * 10} %` : 'most'} of its life`,
        remedy,
        'disk-health',
      ),
    ];
  }
  return [];
}

/** Errors that a SATA or USB disk answered with, counted since it was plugged in. */
async function ofDisk(disk: string, sys: string): Promise<Finding[]> {
  const errors = Number((await textOf(join(sys, 'class/block', disk, 'device/ioerr_cnt'))) ?? 0);
  if (!(errors > 0)) return [];
  const remedy = 'look at "sudo dmesg" for I/O errors; a few come from unplugging, many mean a bad disk or cable';
  return [warning(`${disk} has answered ${counted(errors, 'request')} with an error`, remedy, 'disk-health')];
}

const textOf = async (file: string): Promise<string | undefined> =>
  readFile(file, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
