import { execFile } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pauseMs } from 'node:timers/promises';
import { promisify } from 'node:util';

import type { LaneFloor } from '@floorwatch/contracts';
import { lookForVersions } from '@floorwatch/servers';
import { describe, expect, it } from 'vitest';

import { type Resources, resourcesPerTest, skippedIf, waitFor } from '../support/index.ts';
import type { AgentProcess } from './harness/agent-process.ts';
import { ChaosFloor } from './harness/chaos-floor.ts';
import { chaosOptions, ifAsked, percentile, progress, repeatCommand, report } from './harness/chaos-options.ts';
import { canMount, DiskImage } from './harness/disk-image.ts';
import { Random } from './harness/random.ts';
import { judgeStore } from './harness/store-verdict.ts';
import type { StreamReader } from './harness/stream-reader.ts';
import { expectClean, judgeProcessor } from './harness/verdict.ts';

const run = promisify(execFile);

const ROUNDS = 2;
const IMAGE_MEBIBYTES = 256;
const STREAM_MEBIBYTES = 64;
const LATENESS_SECONDS = 30;
/** How long acknowledgements that the server had sent may be on their way. */
const ON_THE_WAY_MS = 30;
/** How long a gateway keeps what the processor has committed, as every scenario here has it; five minutes by default. */
const GRACE_MS = 2_000;
const HEALED_MS_MAX = 180_000 + GRACE_MS;

const { rounds = ROUNDS, seed, asked } = chaosOptions();
const versions = await lookForVersions('nats-server');
const isAble = await canMount();

/** How the stream came back. */
type Outcome = 'with all of it' | 'without its end' | 'without the stream';

describe("a NATS server's disk that loses its power at random moments under load", () => {
  const resources = resourcesPerTest();

  it.skipIf(!isAble).each(versions)(
    `loses what it had acknowledged, and gateways heal it${skippedIf(!isAble, 'mounting a disk image needs root and loop devices')}: nats-server $version`,
    async ({ path: executable, version }) => {
      progress(`nats-server ${version}: seed ${seed}, ${rounds} cuts`);
      const random = new Random(seed);
      const disk = await DiskImage.create(resources, IMAGE_MEBIBYTES);
      const floor = await ChaosFloor.create(resources, {
        seed,
        sensors: asked ? 50 : 10,
        readingsPerSecond: asked ? 1_000 : 200,
        processorLatenessSeconds: LATENESS_SECONDS,
        lateDevices: 1,
        agent: { storage: { trimGraceMs: GRACE_MS } },
        processor: { stream: { sizeMaxMb: STREAM_MEBIBYTES } },
        nats: { path: executable, directory: await folderOnDisk(resources, disk) },
      });
      const { nats, agent, ledger, load, reader, processor } = floor;
      if (processor === undefined) throw new Error('there is no processor');
      const outcomes = new Map<Outcome, number>();
      const healedMs: number[] = [];
      let forgotten = 0;
      await agent.start();
      load.start();
      for (let round = 1; round <= rounds; round++) {
        await pauseMs(random.between(500, asked ? 5_000 : 2_000));
        // Else nothing but what the server syncs by itself has reached the disk: of a stream that was just made nothing, and then it is gone. So
        // it is in the first quarter of the cuts; afterwards its end is.
        if (round > Math.ceil(rounds / 4) && round % 2 === 0) {
          await run('sync', ['--file-system', disk.directory]);
          await pauseMs(random.between(200, asked ? 3_000 : 1_000));
        }
        const isDead = random.chance(0.3);
        if (isDead) await processor.kill9();
        if (round === rounds) {
          // Nothing new comes any more that would show by itself that something is missing.
          load.pause();
          await load.acknowledged();
        }
        const before = await waitFor('NATS tells of its stream', async () => reader.look(), { timeoutMs: 60_000 });
        process.kill(nats.process.pid ?? 0, 'SIGSTOP');
        await pauseMs(ON_THE_WAY_MS);
        await disk.freeze();
        await nats.kill9();
        await disk.powerCut();
        const began = performance.now();
        await nats.start();
        const { outcome, lost } = await lookAfter(reader, { created: before.created, last: before.state.last_seq });
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        forgotten += lost;
        if (isDead) await processor.restart();
        // Some cuts come while the one before is not yet healed.
        if (random.chance(0.3)) continue;
        await healed(agent);
        healedMs.push(performance.now() - began);
        progress(`cut ${round} of ${rounds}: back ${outcome}, healed after ${Math.round(healedMs.at(-1) ?? 0)} ms`);
      }
      const began = performance.now();
      const shown = await judgeProcessor(ledger, agent, processor, { timeoutMs: HEALED_MS_MAX });
      const lastMs = performance.now() - began;
      const unverified = await processor.verify();
      const stored = await judgeStore(floor, processor, { inOrder: false });
      report(`nats-power-cuts, nats-server ${version}`, {
        cuts: rounds,
        seed,
        ...Object.fromEntries([...outcomes].map(([outcome, times]) => [`came back ${outcome}`, times])),
        'messages acknowledged and then forgotten, at least': forgotten,
        'windows compared': stored.windows,
        lost: stored.lost,
        doubled: stored.doubled,
        changed: stored.changed,
        'corrections of sealed windows': stored.revisions,
        episodes: stored.episodes,
        ...stored.balance,
        'floorwatch-processor verify': unverified.length === 0 ? 'everything adds up' : 'something does not',
        'healed p50 ms': Math.round(percentile(healedMs, 0.5)),
        'healed at most ms': Math.round(Math.max(0, ...healedMs)),
        'all there after the end, ms': Math.round(lastMs),
        repeat: repeatCommand('nats-power-cuts', seed, rounds),
      });
      for (const verdict of [shown, stored]) expectClean(verdict);
      expect(unverified).toEqual([]);
      expect(stored.balance['+ unexplained']).toBe(0);
      expect(ifAsked(Math.max(0, ...healedMs))).toBeLessThan(HEALED_MS_MAX);
    },
    240_000 + rounds * 60_000,
  );

  it.skipIf(versions.length < 2)(
    `is tried with more than one version${skippedIf(versions.length < 2, 'there is only one')}`,
    () => expect(new Set(versions.map(({ version }) => version)).size).toBe(versions.length),
  );
});

/** A folder for a server whose store alone is on the disk: its configuration must outlive the cut. */
async function folderOnDisk(resources: Resources, disk: DiskImage): Promise<string> {
  const folder = await resources.directory();
  await symlink(disk.directory, path.join(folder, 'jetstream'));
  return folder;
}

/** What has become of the stream. The processor makes it anew if it is gone, and gateways go on sending, so less may show than was lost. */
async function lookAfter(
  reader: StreamReader,
  before: { readonly created: string; readonly last: number },
): Promise<{ readonly outcome: Outcome; readonly lost: number }> {
  const after = await waitFor(
    'NATS tells of its stream, or that there is none',
    async () =>
      reader.look().catch((error: unknown) => {
        if (String(error).includes('stream not found')) return { created: '', state: { last_seq: 0 } };
        throw error;
      }),
    { timeoutMs: 60_000, intervalMs: 10 },
  );
  if (after.created !== before.created) return { outcome: 'without the stream', lost: before.last };
  const lost = Math.max(0, before.last - after.state.last_seq);
  return { outcome: lost > 0 ? 'without its end' : 'with all of it', lost };
}

/** Waits until the processor has committed all that the agent has in its lanes by now. */
async function healed(agent: AgentProcess): Promise<void> {
  const { lanes } = await agent.status();
  const numbers = Object.entries(lanes).map(([lane, { epoch, lastNumber }]) => ({
    lane,
    epoch,
    number: Number(lastNumber),
  }));
  await waitFor(
    'the processor has committed what the agent had when NATS came back',
    async () => {
      const { lanes: now } = await agent.status();
      return numbers.every(({ lane, epoch, number }) => {
        const floor = now[lane as keyof typeof now]['floor'] as LaneFloor | null;
        return floor !== null && floor.epoch === epoch && floor.floor >= number;
      });
    },
    { timeoutMs: HEALED_MS_MAX, intervalMs: 100 },
  );
}
