import { appendFile, rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pauseMs } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest, skippedIf, waitFor } from '../support/index.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, ifAsked, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { canMount, mountTmpfs } from './harness/disk-image.ts';
import { judge } from './harness/verdict.ts';

const MIB = 1024 * 1024;
const DISK_MEBIBYTES = 16;
/** How much telemetry waits for NATS before the disk is filled: several segments, of which the oldest can be dropped. */
const WAITING_BYTES = 2 * MIB;
/** What somebody else's files leave. */
const LEFT_BYTES = 256 * 1024;
/** How long the disk stays full under load, at least. */
const FULL_MS = 4_000;
const RECOVERY_MS_MAX = 10_000;

const { seed } = chaosOptions();
const isAble = await canMount();
const why = skippedIf(!isAble, 'mounting a small disk needs root');

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
        // Anomalies may not be dropped: where one finds no room, nothing is taken any more.
        faultEvery: 4_000,
        dataDir: path.join(disk, 'agent'),
        // What can be dropped at a time is a segment, a sixteenth of the cap; the caps are beyond what the disk has room for.
        agent: { storage: { telemetry: { bytesMax: 8 * MIB }, journalBytesMax: 16 * MIB } },
      });
      await agent.start();
      load.start();
      await pauseMs(1_000);
      await nats.stop();
      const telemetry = async (field: 'bytes' | 'recordsDropped'): Promise<number> =>
        Number((await agent.status()).lanes.telemetry[field]);
      await waitFor('telemetry waits', async () => (await telemetry('bytes')) >= WAITING_BYTES, { timeoutMs: 60_000 });
      await fill(disk, ballast);
      progress('the disk is full');
      await pauseMs(FULL_MS);
      await waitFor('some of it is dropped', async () => (await telemetry('recordsDropped')) > 0, {
        timeoutMs: 60_000,
      });
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
      expect(dropped).toBeGreaterThan(0);
      expect(verdict.lost).toBe(dropped);
      expect(verdict).toMatchObject({ doubled: 0, changed: 0, violations: [], episodeDifferences: [] });
      expect(reader.oracle.gaps.filter(({ lane, reason }) => lane === 'anomaly' || reason !== 'cap')).toEqual([]);
      expect(ifAsked(recoveryMs)).toBeLessThan(RECOVERY_MS_MAX);
    },
    180_000,
  );
});

/** Writes a file that leaves nearly nothing of a disk that others write to as well. */
async function fill(disk: string, file: string): Promise<void> {
  for (;;) {
    const { bavail, bsize } = await statfs(disk);
    const bytes = Math.min(MIB, bavail * bsize - LEFT_BYTES);
    if (bytes <= 0) return;
    await appendFile(file, Buffer.alloc(bytes)).catch(() => undefined);
  }
}

const isTaking = (status: Readonly<Record<string, unknown>>): boolean => (status['refusing'] ?? null) === null;
