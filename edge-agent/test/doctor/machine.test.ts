import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { StreamInfo } from '@nats-io/jetstream';
import { bytesInWords, counted, INGEST_STREAM } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { judgeClock } from '../../src/doctor/checks/clock.ts';
import { checkMemory } from '../../src/doctor/checks/memory.ts';
import { judgeStream } from '../../src/doctor/checks/nats.ts';
import { judgeNode } from '../../src/doctor/checks/node.ts';
import type { Finding } from '../../src/doctor/finding.ts';
import { findMount } from '../../src/doctor/mount.ts';

const resources = resourcesPerTest();
const severityOf = ({ severity }: Finding): string => severity;

describe('doctor: the machine', () => {
  it.each([
    ['18.20.8', '2026-01-01', 'critical'],
    ['20.18.3', '2026-01-01', 'critical'],
    ['20.19.0', '2026-04-30', 'ok'],
    ['20.19.0', '2026-05-01', 'notice'],
    ['24.1.0', '2026-05-01', 'ok'],
    ['99.0.0', '2026-05-01', 'ok'],
  ])('Node.js %s on %s', (version, day, severity) => {
    expect(judgeNode(version, new Date(`${day}T12:00:00Z`)).severity).toBe(severity);
  });

  const NOW = Date.UTC(2026, 6, 1);
  const DAY = 86_400_000;

  it.each([
    ['kept right', NOW, NOW - DAY, true, 'ok'],
    ['kept by nobody', NOW, NOW - DAY, false, 'warning'],
    ['of which nothing is known', NOW, NOW - DAY, undefined, 'notice'],
    ['before this release was installed', NOW, NOW + DAY + 1, true, 'critical'],
    ['a day before, as a time zone may make it', NOW, NOW + DAY, true, 'ok'],
    ['that begins at 1970', 60_000, 0, true, 'critical'],
  ])('a clock %s', (_name, now, installedAt, synchronised, severity) => {
    expect(judgeClock(now, installedAt, synchronised).severity).toBe(severity);
  });

  it.each([
    [2_000_000, ['ok']],
    [131_072, ['ok']],
    [131_071, ['warning']],
    [49_151, ['critical']],
  ])('with %i KiB of memory available', async (kib, severities) => {
    const proc = await resources.directory();
    await writeFile(join(proc, 'meminfo'), `MemTotal:  3900000 kB\nMemFree:  1 kB\nMemAvailable:  ${kib} kB\n`);
    const context = { system: { proc, sys: proc }, signal: AbortSignal.timeout(1_000) };
    expect((await checkMemory.run(context)).map(severityOf)).toEqual(severities);
  });

  it('with a limit of memory that is nearly reached', async () => {
    const root = await resources.directory();
    await mkdir(join(root, 'fs/cgroup'), { recursive: true });
    await writeFile(join(root, 'meminfo'), 'MemTotal: 3900000 kB\nMemAvailable: 2000000 kB\n');
    await writeFile(join(root, 'fs/cgroup/memory.max'), '268435456\n');
    await writeFile(join(root, 'fs/cgroup/memory.current'), '250000000\n');
    const context = { system: { proc: root, sys: root }, signal: AbortSignal.timeout(1_000) };
    expect(await checkMemory.run(context)).toMatchObject([
      { severity: 'ok' },
      { severity: 'warning', finding: expect.stringMatching(/238 MiB of the 256 MiB/) },
    ]);
  });

  it.each([
    ['/var/lib/floorwatch', '/dev/sda2'],
    ['/var/lib/floorwatch2', '/dev/sda1'],
    ['/mnt/a b/data', '//nas/share'],
    ['/', '/dev/sda1'],
  ])('%s lies on %s', async (path, source) => {
    const proc = await resources.directory();
    await mkdir(join(proc, 'self'));
    await writeFile(
      join(proc, 'self/mountinfo'),
      [
        '1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
        '2 1 8:2 / /var/lib/floorwatch ro,relatime - ext4 /dev/sda2 rw',
        String.raw`3 1 0:9 / /mnt/a\040b rw - cifs //nas/share rw`,
        '',
      ].join('\n'),
    );
    expect(await findMount(path, proc)).toMatchObject({ source, readOnly: source === '/dev/sda2' });
  });

  it('numbers are told as people speak of them', () => {
    expect([0, 1_023, 1_024, 1_500_000, 64 * 2 ** 20, 1.5 * 2 ** 30].map(bytesInWords)).toEqual([
      '0 bytes',
      '1023 bytes',
      '1 KiB',
      '1.4 MiB',
      '64 MiB',
      '1.5 GiB',
    ]);
    expect([0, 1, 2].map((count) => counted(count, 'item'))).toEqual(['0 items', '1 item', '2 items']);
  });
});

describe('doctor: the stream', () => {
  const now = Date.UTC(2026, 6, 1);
  const info = (ts: string | undefined): StreamInfo =>
    ({
      config: {
        subjects: [...INGEST_STREAM.subjects],
        retention: 'limits',
        discard: 'old',
        storage: 'file',
        max_msg_size: -1,
        max_age: 0,
        max_bytes: 2 ** 31,
      },
      state: { messages: 3, bytes: 2_048 },
      ts,
    }) as unknown as StreamInfo;

  it.each([
    ['the same', 0, 'ok'],
    ['5 s apart', 5_000, 'ok'],
    ['more than that ahead', -5_001, 'warning'],
    ['more than that behind', 5_001, 'warning'],
  ])('tells the time of its server: %s', (_name, drift, severity) => {
    expect(judgeStream(info(new Date(now + drift).toISOString()), now).map(severityOf)).toEqual([severity]);
  });

  it('of an old server tells no time', () => {
    expect(judgeStream(info(undefined), now)).toEqual([
      { severity: 'ok', finding: 'the stream INGEST holds 3 batches, 2 KiB of 2 GiB' },
    ]);
  });
});
