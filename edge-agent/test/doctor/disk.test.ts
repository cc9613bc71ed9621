import { execFile, spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { SegmentLog } from '@floorwatch/segment-log';
import { describe, expect, it } from 'vitest';

import { programs, resourcesPerTest, skippedIf } from '../../../tests/support/index.ts';
import { checkDataFolder } from '../../src/doctor/checks/data-folder.ts';
import { checkDiskHealth } from '../../src/doctor/checks/disk-health.ts';
import { checkLogs } from '../../src/doctor/checks/logs.ts';
import { gatewayConfig, runCheck } from './gateway.ts';

const resources = resourcesPerTest();
const run = promisify(execFile);
/** Only root may mount. */
const isRoot = process.platform === 'linux' && process.getuid?.() === 0;
const needsRoot = skippedIf(!isRoot, 'tests do not run as root');
/** A user without rights, who may read the program where tests run as root and the repository is not in a closed folder. */
const nobody = { uid: 65_534, gid: 65_534 };
const hasNobody = isRoot && spawnSync(process.execPath, [programs.agent, '--version'], nobody).status === 0;
const MIB = 1024 * 1024;

async function tmpfs(options: string): Promise<string> {
  const folder = join(await resources.directory(), 'mounted here');
  await mkdir(folder);
  await run('mount', ['-t', 'tmpfs', '-o', options, 'floorwatch-test', folder]);
  resources.defer(async () => run('umount', ['-l', folder]));
  return folder;
}

describe('doctor: the data folder', () => {
  it('on a disk with room is in order, and left as it was', async () => {
    const gateway = await gatewayConfig(resources);
    const findings = await runCheck(checkDataFolder, gateway);
    expect(findings.map(({ finding }) => finding)).toEqual([
      expect.stringMatching(/ lies on \S+ \(\S+, mounted at /),
      expect.stringMatching(/^the disk keeps a small write in \S+ ms \(median\), \S+ ms at worst$/),
      expect.stringMatching(/ are free; the agent's limits let it take .* more$/),
    ]);
    expect(await readdir(gateway.config.storage.dataDir)).toEqual([]);
  });

  it('that is not there yet is told, and judged by where it will be', async () => {
    const { configFile, config } = await gatewayConfig(resources);
    const dataDir = join(config.storage.dataDir, 'deep', 'down');
    const findings = await runCheck(checkDataFolder, {
      configFile,
      config: { ...config, storage: { ...config.storage, dataDir } },
    });
    expect(findings[0]).toMatchObject({ severity: 'notice', finding: expect.stringMatching(/down is not there yet/) });
    expect(findings).toHaveLength(3);
  });

  it('that is a file is critical', async () => {
    const { configFile, config } = await gatewayConfig(resources);
    const storage = { ...config.storage, dataDir: configFile };
    const findings = await runCheck(checkDataFolder, { configFile, config: { ...config, storage } });
    expect(findings).toMatchObject([{ severity: 'critical', finding: expect.stringMatching(/is a file$/) }]);
  });

  it('that others may change is critical, that others may read a notice', async () => {
    const gateway = await gatewayConfig(resources);
    const { dataDir } = gateway.config.storage;
    await chmod(dataDir, 0o777);
    expect(await runCheck(checkDataFolder, gateway)).toContainEqual(
      expect.objectContaining({ severity: 'critical', remedy: `sudo chmod o-rwx ${dataDir}` }),
    );
    await chmod(dataDir, 0o755);
    expect(await runCheck(checkDataFolder, gateway)).toContainEqual(
      expect.objectContaining({
        severity: 'notice',
        finding: expect.stringMatching(/every user of this machine may read/),
      }),
    );
  });

  it.skipIf(!isRoot)(`of another user is told to root${needsRoot}`, async () => {
    const gateway = await gatewayConfig(resources);
    await chown(gateway.config.storage.dataDir, 4_711, 4_711);
    expect(await runCheck(checkDataFolder, gateway)).toContainEqual(
      expect.objectContaining({ severity: 'notice', remedy: expect.stringContaining("sudo -u '#4711'") }),
    );
  });

  it.skipIf(!hasNobody)(
    `that the agent’s user may not write is critical${skippedIf(!hasNobody, 'tests can not become nobody')}`,
    async () => {
      const gateway = await gatewayConfig(resources);
      await chmod(gateway.directory, 0o755);
      await chmod(gateway.configFile, 0o644);
      const command = [programs.agent, 'doctor', '--config', gateway.configFile, '--json'];
      const { stdout } = await run(process.execPath, command, nobody).catch((error: { stdout: string }) => error);
      const { findings } = JSON.parse(stdout) as { findings: { check: string; finding: string }[] };
      const told = (check: string): string[] =>
        findings.filter((one) => one.check === check).map(({ finding }) => finding);
      expect(told('data folder')).toContain(`${gateway.config.storage.dataDir} can't be written by this user`);
      expect(told('logs')).toEqual(['this user may not look at them']);
      expect(told('agent')).toEqual(['it is not running']);
    },
  );

  describe.skipIf(!isRoot)(`on a file system of its own${needsRoot}`, () => {
    it('in memory is critical, because it does not survive', async () => {
      const dataDir = await tmpfs('size=64m,mode=750');
      const findings = await runCheck(checkDataFolder, await gatewayConfig(resources, { storage: { dataDir } }));
      expect(findings[0]).toMatchObject({
        severity: 'critical',
        finding: expect.stringContaining(
          `${dataDir} lies on floorwatch-test (tmpfs, mounted at ${dataDir}): it is memory`,
        ),
      });
      // 64 MiB are no room for limits of more than a gigabyte.
      expect(findings.at(-1)).toMatchObject({
        runbook: 'disk-full',
        finding: expect.stringMatching(/^64 MiB of 64 MiB are free/),
      });
    });

    it('that is full is critical', async () => {
      const dataDir = await tmpfs('size=1m,mode=750');
      await run('dd', ['if=/dev/zero', `of=${dataDir}/fill`, 'bs=64k']).catch(() => undefined);
      expect(await runCheck(checkDataFolder, await gatewayConfig(resources, { storage: { dataDir } }))).toMatchObject([
        { severity: 'critical' },
        { severity: 'critical', finding: `${dataDir}: the disk is full`, runbook: 'disk-full' },
        { severity: 'critical', finding: expect.stringMatching(/^0 bytes of 1 MiB are free/) },
      ]);
    });

    it('that can only be read is critical, and is not written to', async () => {
      const dataDir = await tmpfs('size=64m,mode=750');
      await run('mount', ['-o', 'remount,ro', dataDir]);
      expect(await runCheck(checkDataFolder, await gatewayConfig(resources, { storage: { dataDir } }))).toMatchObject([
        { severity: 'critical', finding: expect.stringMatching(/which can only be read$/), runbook: 'disk-health' },
        { finding: expect.stringMatching(/are free/) },
      ]);
    });

    it('that has room for no more files is critical', async () => {
      const dataDir = await tmpfs('size=64m,nr_inodes=20,mode=750');
      expect(await runCheck(checkDataFolder, await gatewayConfig(resources, { storage: { dataDir } }))).toContainEqual(
        expect.objectContaining({
          severity: 'critical',
          finding: expect.stringMatching(/room for only 1\d more files/),
        }),
      );
    });
  });
});

describe('doctor: the data folder on a card', () => {
  it.each([
    ['standard', ['ok', 'notice']],
    ['sd-card', ['ok']],
  ])('with storage.profile %s', async (profile, severities) => {
    const proc = await resources.directory();
    await mkdir(join(proc, 'self'));
    await writeFile(join(proc, 'self/mountinfo'), '36 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw\n');
    const { directory } = await gatewayConfig(resources);
    const storage = { dataDir: join(directory, 'data'), profile };
    const findings = await runCheck(checkDataFolder, {
      ...(await gatewayConfig(resources, { storage })),
      system: { proc, sys: '/sys' },
    });
    const aboutPlace = findings.filter(({ finding }) => finding.includes(' lies on '));
    expect(aboutPlace.map(({ severity }) => severity)).toEqual(severities);
  });
});

describe('doctor: disk health', () => {
  /** A made-up `/proc` and `/sys` of a Raspberry Pi whose card holds the data folder. */
  async function machine(files: Readonly<Record<string, string>>): Promise<{ proc: string; sys: string }> {
    const root = await resources.directory();
    const card = join(root, 'sys/devices/mmcblk0');
    const tree = {
      [join(root, 'proc/self/mountinfo')]: '36 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n',
      [join(card, 'mmcblk0p2/partition')]: '2\n',
      ...Object.fromEntries(Object.entries(files).map(([name, text]) => [join(root, 'sys', name), text])),
    };
    for (const [path, text] of Object.entries(tree)) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
    }
    await mkdir(join(root, 'sys/class/block'), { recursive: true });
    await symlink(card, join(root, 'sys/class/block/mmcblk0'));
    await symlink(join(card, 'mmcblk0p2'), join(root, 'sys/class/block/mmcblk0p2'));
    return { proc: join(root, 'proc'), sys: join(root, 'sys') };
  }

  it.each([
    ['nothing against it', {}, 'ok', 'the kernel tells of no errors of mmcblk0'],
    [
      'errors of the file system',
      { 'fs/ext4/mmcblk0p2/errors_count': '3\n', 'fs/ext4/mmcblk0p2/last_error_time': '1767225600\n' },
      'critical',
      'the file system on mmcblk0p2 has noted 3 errors, the last one on 2026-01-01',
    ],
    [
      'half of its life',
      { 'devices/mmcblk0/device/life_time': '0x05 0x02\n' },
      'ok',
      'the kernel tells of no errors of mmcblk0',
    ],
    [
      'most of its life',
      { 'devices/mmcblk0/device/life_time': '0x02 0x09\n' },
      'warning',
      'mmcblk0 says that it has used up 80 % of its life',
    ],
    [
      'all of its life',
      { 'devices/mmcblk0/device/life_time': '0x0b 0x02\n' },
      'critical',
      'mmcblk0 says that it is worn out',
    ],
    [
      'no spare blocks',
      { 'devices/mmcblk0/device/pre_eol_info': '0x03\n' },
      'critical',
      'mmcblk0 says that it is worn out',
    ],
    [
      'failed requests',
      { 'devices/mmcblk0/device/ioerr_cnt': '0x1\n' },
      'warning',
      'mmcblk0 has answered 1 request with an error',
    ],
  ])('%s', async (_name, files, severity, finding) => {
    const gateway = await gatewayConfig(resources);
    expect(await runCheck(checkDiskHealth, { ...gateway, system: await machine(files) })).toMatchObject([
      { severity, finding },
    ]);
  });
});

describe('doctor: the logs', () => {
  const item = Buffer.alloc(1_000, 7);

  it('that are whole are told with what they hold; an agent that uses them is not disturbed', async () => {
    const gateway = await gatewayConfig(resources);
    const directory = join(gateway.config.storage.dataDir, 'telemetry');
    const { log } = await SegmentLog.open({ directory, durability: 'process', bytesMax: 64 * MIB });
    for (let count = 0; count < 5; count++) await log.append([item]);
    await log.close();
    expect(await runCheck(checkLogs, gateway)).toMatchObject([
      { severity: 'ok', finding: expect.stringMatching(/^telemetry: 5 items in 1 segment, .*, whole$/) },
    ]);
  });

  it('that are damaged are told with how much is lost', async () => {
    const gateway = await gatewayConfig(resources);
    const directory = join(gateway.config.storage.dataDir, 'journal');
    const { log } = await SegmentLog.open({
      directory,
      durability: 'process',
      bytesMax: 64 * MIB,
      segmentBytesMax: 16 * 1024,
    });
    for (let count = 0; count < 60; count++) await log.append([item]);
    const second = (await readdir(directory)).filter((name) => name.endsWith('.seg')).sort()[1] ?? '';
    await log.close();
    await rm(join(directory, second));
    const [finding] = await runCheck(checkLogs, gateway);
    expect(finding).toMatchObject({ severity: 'critical', runbook: 'damaged-log' });
    expect(finding?.finding).toMatch(
      /^journal: 60 items in \d+ segments, .* DAMAGED: \d+ items can't be read any more$/,
    );
  });

  it('that are not there yet are no trouble', async () => {
    expect(await runCheck(checkLogs, await gatewayConfig(resources))).toEqual([
      { severity: 'ok', finding: 'there are none yet' },
    ]);
  });
});
