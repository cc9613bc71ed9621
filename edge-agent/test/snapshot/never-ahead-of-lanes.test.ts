import { rename } from 'node:fs/promises';

import { epochMs } from '@floorwatch/contracts';
import { type LogFile, nodeFileSystem } from '@floorwatch/segment-log';
import { expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { contentOf, Core, coreConfig, type Event } from '../support/core.ts';

const resources = resourcesPerTest();
const START = 1_700_000_000_000;
/** Far longer than a snapshot of two sensors takes. */
const SNAPSHOT_MS = 300;

/** A minute of two sensors. */
const readings = Array.from({ length: 120 }, (_, i): Event => {
  const at = epochMs(START + i * 500);
  const payload = Buffer.from(JSON.stringify({ value: (i * i) % 17, ts: at }));
  return { messages: [{ topic: `sensors/press/${i % 2}`, payload, receivedAt: at, retained: false }] };
});

/** Lets all of it out, in a step of its own. */
const tick: Event = { tick: { now: epochMs(START + 180_000), quality: 'synchronised', sinceStartMs: 180_000 } };

it('a snapshot never holds what the lanes still lack: a kill while the disk takes nothing loses no output', async () => {
  let held: Promise<void> = Promise.resolve();
  const fileSystem = {
    ...nodeFileSystem,
    rename,
    async open(...parameters: Parameters<typeof nodeFileSystem.open>): Promise<LogFile> {
      const file = await nodeFileSystem.open(...parameters);
      if (!/[/\\](telemetry|anomaly)[/\\]/.test(parameters[0])) return file;
      const write = file.write.bind(file);
      file.write = async (...what) => {
        await held;
        return write(...what);
      };
      return file;
    },
  };
  const core = await Core.start(coreConfig(await resources.directory()), START, fileSystem);
  const { snapshots, queue } = core.parts;
  await core.take(readings);
  await core.processed();
  // One is prepared now, and taken behind the next step.
  snapshots.hurry();
  snapshots.betweenSteps();
  await snapshots.settled();
  let release: () => void = () => undefined;
  held = new Promise((resolve) => (release = resolve));
  await core.take([tick]);
  await waitFor('what was taken is being processed', () => queue.length > 0);
  await new Promise((resolve) => setTimeout(resolve, SNAPSHOT_MS));
  const killed = await core.copyOfFolder(resources);
  release();
  await core.processed();
  await core.stop();

  const again = await Core.start(coreConfig(killed), START + 200_000);
  await again.processed();
  await again.stop();
  expect((await contentOf(killed)).filter((line) => line.includes('rollup')).length).toBeGreaterThan(5);
  expect(await contentOf(killed)).toEqual(await contentOf(core.config.storage.dataDir));
});
