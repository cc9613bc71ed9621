import { access, constants, realpath, stat, statfs } from 'node:fs/promises';
import { resolve } from 'node:path';

import { bytesInWords, durationInWords } from '@floorwatch/contracts';
import { messageOf, systemCodeOf } from '@floorwatch/runtime';

import type { Check } from '../check.ts';
import { measureDisk } from '../disk-speed.ts';
import { critical, type Finding, notice, ok, warning } from '../finding.ts';
import { findMount, type Mount, nearestFolder } from '../mount.ts';
import { type Storage, storageOf } from '../storage.ts';

const MIB = 1024 * 1024;
/** Less than this and the system itself begins to fail, not only the agent. */
const FREE_BYTES_CRITICAL = 64 * MIB;
const FREE_INODES_CRITICAL = 100;
/** Of one commit; above it, devices wait noticeably for their answers. */
const SYNC_MS_WARNED = 100;
const OTHERS_WRITE = 0o002;
const OTHERS_ENTER = 0o001;

/** Whether the data folder is a place that keeps what is written, with room for what the limits allow. */
export const checkDataFolder: Check = {
  name: 'data folder',
  of: 'gateway',
  msMax: 20_000,
  async run({ config, system, signal }) {
    const storage = storageOf(config);
    const folder = resolve(storage.directory);
    const exists = await stat(folder).then(
      (found) => (found.isDirectory() ? 'folder' : 'file'),
      (error: unknown) => (systemCodeOf(error) === 'ENOENT' ? 'missing' : messageOf(error)),
    );
    if (exists === 'missing') return ofMissing(folder, storage, system.proc);
    if (exists !== 'folder') {
      const what = exists === 'file' ? 'is a file' : `can't be looked at: ${exists}`;
      return [critical(`storage.dataDir: ${folder} ${what}`, 'correct storage.dataDir', 'will-not-start')];
    }
    const mount = await findMount(await realpath(folder), system.proc);
    const kind = mount === undefined ? [] : [...ofMount(folder, mount, storage)];
    // Writing would only say the same again.
    const written = mount?.readOnly === true ? [] : await ofWriting(folder, storage, signal);
    return [...kind, ...written, ...(await ofRights(folder)), ...(await ofRoom(folder, storage))];
  },
};

/** The agent makes the folder at its first start, if it may; where it will lie can be judged before. */
async function ofMissing(folder: string, storage: Storage, proc: string): Promise<Finding[]> {
  const parent = await nearestFolder(folder);
  try {
    await access(parent, constants.W_OK | constants.X_OK);
  } catch {
    const finding = `storage.dataDir: ${folder} is not there, and this user can't make it in ${parent}`;
    const remedy = `make it and give it to the agent's user: sudo install -d -o <user> -m 750 ${folder}`;
    return [critical(finding, remedy, 'will-not-start')];
  }
  const mount = await findMount(parent, proc);
  return [
    notice(`storage.dataDir: ${folder} is not there yet; the agent makes it at its first start`),
    ...(mount === undefined ? [] : ofMount(folder, mount, storage)),
    ...(await ofRoom(parent, storage)),
  ];
}

function* ofMount(
  folder: string,
  { type, source, point, readOnly }: Mount,
  { durability, profile }: Storage,
): Generator<Finding> {
  const place = `${folder} lies on ${source} (${type}, mounted at ${point})`;
  if (readOnly) {
    const remedy = `look for disk errors with "sudo dmesg"; then "sudo mount -o remount,rw ${point}", or replace the disk`;
    yield critical(`${place}, which can only be read`, remedy, 'disk-health');
  } else if (type === 'tmpfs' || type === 'ramfs') {
    const finding = `${place}: it is memory, and what the agent keeps is gone at the next restart of this machine`;
    const remedy = 'set storage.dataDir to a folder on a disk';
    yield durability === 'power' ? critical(finding, remedy, 'disk-health') : warning(finding, remedy, 'disk-health');
  } else if (type === 'overlay' || type === 'aufs') {
    const finding = `${place}: it belongs to the container, and goes with it`;
    yield critical(finding, 'mount a volume of its own at storage.dataDir', 'disk-health');
  } else if (/^(nfs|cifs|smb|9p|fuse|ceph)/.test(type)) {
    const finding = `${place}: a network drive, which may be away and may not keep what it says it has`;
    yield warning(finding, 'set storage.dataDir to a folder on a disk of this machine', 'disk-health');
  } else if (/^(vfat|msdos|exfat|ntfs)/.test(type)) {
    const finding = `${place}: this kind of file system can break in a power cut`;
    yield warning(finding, 'use ext4 or another file system with a journal', 'disk-health');
  } else yield ok(place);
  if (source.startsWith('/dev/mmcblk') && profile === 'standard') {
    const finding = `${folder} lies on an SD card or eMMC, and storage.profile is standard: a commit up to 200 times a second`;
    yield notice(finding, 'set storage.profile to sd-card; the card lives longer, and devices wait up to a second');
  }
}

async function ofWriting(folder: string, { durability }: Storage, signal: AbortSignal): Promise<Finding[]> {
  try {
    const { medianMs, worstMs } = await measureDisk(folder, signal);
    const facts = `the disk keeps a small write in ${durationInWords(medianMs)} (median), ${durationInWords(worstMs)} at worst`;
    if (durability === 'process' || medianMs < SYNC_MS_WARNED) return [ok(facts)];
    const remedy =
      'a better SD card or an SSD; or storage.profile: sd-card, which writes seldom and lets devices wait a second';
    return [warning(facts, remedy, 'disk-health')];
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      return [critical(`${folder}: the disk is full`, 'make room; until then no readings are taken', 'disk-full')];
    }
    if (code === 'EACCES' || code === 'EPERM') {
      const remedy = `give it to the agent's user: sudo chown -R <user> ${folder}; or run the doctor as that user`;
      return [critical(`${folder} can't be written by this user`, remedy, 'will-not-start')];
    }
    return [critical(`${folder} can't be written: ${messageOf(error)}`, 'see to the disk', 'disk-health')];
  }
}

async function ofRights(folder: string): Promise<Finding[]> {
  if (process.platform === 'win32') return [];
  const { mode, uid } = await stat(folder);
  const findings: Finding[] = [];
  if ((mode & OTHERS_WRITE) !== 0) {
    findings.push(critical(`every user of this machine may change ${folder}`, `sudo chmod o-rwx ${folder}`, 'secrets'));
  } else if ((mode & OTHERS_ENTER) !== 0) {
    findings.push(
      notice(`every user of this machine may read the readings in ${folder}`, `sudo chmod o-rwx ${folder}`),
    );
  }
  // Others than root hear by writing what they may not.
  if (process.getuid?.() === 0 && uid !== 0) {
    const finding = `${folder} belongs to user ${uid}, and the doctor runs as root, who may do more than the agent`;
    findings.push(notice(finding, `run it as the agent's user: sudo -u '#${uid}' floorwatch-agent doctor …`));
  }
  return findings;
}

/** Free space now, against what the logs may still grow by. */
async function ofRoom(folder: string, storage: Storage): Promise<Finding[]> {
  const { bsize, blocks, bavail, files, ffree } = await statfs(folder);
  const [free, size] = [bavail * bsize, blocks * bsize];
  const growth = await storage.growthBytesMax();
  const facts = `${bytesInWords(free)} of ${bytesInWords(size)} are free; the agent's limits let it take ${bytesInWords(growth)} more`;
  const findings: Finding[] = [];
  if (free < FREE_BYTES_CRITICAL && free < growth) {
    findings.push(critical(facts, 'make room now; when there is none the agent refuses readings', 'disk-full'));
  } else if (free < growth) {
    findings.push(
      warning(
        facts,
        'make room, or lower the limits under storage: a day without NATS could fill the disk',
        'disk-full',
      ),
    );
  } else findings.push(ok(facts));
  // Some file systems make inodes as they need them, and tell 0.
  if (files > 0 && ffree < FREE_INODES_CRITICAL) {
    const finding = `the file system of ${folder} has room for only ${ffree} more files, whatever their size`;
    findings.push(critical(finding, 'remove what has made so many small files', 'disk-full'));
  }
  return findings;
}
