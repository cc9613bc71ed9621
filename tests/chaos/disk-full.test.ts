import { rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../support/index.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { canMount, mountTmpfs } from './harness/disk-image.ts';
import { judge } from './harness/verdict.ts';

const DISK_MEBIBYTES = 16;
/** What somebody else's files leave. */
const LEFT_BYTES = 256 * 1024;
/** How long the disk stays full under load. */
const FULL_MS = 8_000;
const RECOVERY_MS_MAX = 10_000;

const { seed } = chaosOptions();
const isAble = await canMount();
const why = isAble ? '' : ' (skipped: mounting a small disk needs root)';

describe('a gateway whose disk of 16 MiB is full while NATS is away', () => {
  const resources = resourcesPerTest();

  it.skipIf(!isAble)(
    `does not crash, tells exactly what it dropped, and goes on by itself when there is space again${why}`,
    async () => {
      progress(`seed ${seed}`);
      const disk = await mountTmpfs(resources, DISK_MEBIBYTES);
      const ballast = path.join(disk, 'ballast');
      // Every reading is a rollup of its own, so that the disk fills quickly.
      const { nats, agent, ledger, load, reader } = await ChaosFloor.create(resources, {
        seed,
        sensors: 100,
        readingsPerSecond: 5_000,
        stepMs: 10_000,
        backHours: 24 * 30,
        dataDir: path.join(disk, 'agent'),
      });
      await agent.start();
      load.start();
      await pauseMs(1_000);
      await nats.stop();
      await pauseMs(2_000);
      const { bavail, bsize } = await statfs(disk);
      await writeFile(ballast, Buffer.alloc(bavail * bsize - LEFT_BYTES));
      progress('the disk is full');
      await pauseMs(FULL_MS);
      expect(agent.program.isRunning, agent.program.output()).toBe(true);
      const full = await agent.status();
      const acknowledgedWhileFull = ledger.acknowledged;
      await rm(ballast);
      const began = performance.now();
      await waitFor(
        'readings are taken again',
        async () => ledger.acknowledged > acknowledgedWhileFull && isTaking(await agent.status()),
        { timeoutMs: 60_000, intervalMs: 20 },
      );
      const recoveryMs = performance.now() - began;
      await pauseMs(1_000);
      load.pause();
      await load.acknowledged(60_000);
      await nats.start();
      const verdict = await judge(ledger, agent, reader);
      const dropped = reader.oracle.gaps.reduce((sum, { readings }) => sum + readings, 0);
      report('disk-full', {
        seed,
        'readings acknowledged': verdict.readings,
        'readings dropped': verdict.lost,
        'readings that gaps tell of': dropped,
        gaps: reader.oracle.gaps.length,
        doubled: verdict.doubled,
        'refused while full': JSON.stringify(full['refusing'] ?? null),
        'recovery ms': Math.round(recoveryMs),
        repeat: repeatCommand('disk-full', seed, 1),
      });
      expect(agent.program.isRunning).toBe(true);
      expect(verdict.lost).toBe(dropped);
      expect(verdict).toMatchObject({ doubled: 0, changed: 0, violations: [], episodeDifferences: [] });
      expect(reader.oracle.gaps.filter(({ lane, reason }) => lane === 'anomaly' || reason !== 'cap')).toEqual([]);
      expect(recoveryMs).toBeLessThan(RECOVERY_MS_MAX);
    },
    180_000,
  );
});

const isTaking = (status: Readonly<Record<string, unknown>>): boolean => (status['refusing'] ?? null) === null;
