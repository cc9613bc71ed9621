import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { expect, it } from 'vitest';

import { upgradedEpisodes } from '../../src/score/episode-sections.ts';
import type { EngineOutput } from '../../src/sensor-engine.ts';
import { SnapshotFile } from '../../src/snapshot/snapshot-file.ts';
import { engineOf, faultStream, run } from './fault-stream.ts';

const samples = path.join(import.meta.dirname, 'samples');
const versions = (await readdir(samples)).filter((name) => name.endsWith('.snapshot'));

it('there is a sample of every version', () => {
  expect(versions).toEqual(['version-1.snapshot', 'version-2.snapshot']);
});

// A file of an earlier release is never made anew: this release must find in it what that one put there.
it.each(versions)('%s can be read, and everything that is told once is in it', async (name) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'sample-'));
  try {
    await writeFile(path.join(directory, 'snapshot'), await readFile(path.join(samples, name)));
    const { snapshot } = await new SnapshotFile(directory).load();
    const expected: unknown = JSON.parse(
      await readFile(path.join(samples, name.replace('.snapshot', '.json')), 'utf8'),
    );
    const engine = engineOf('rules');
    engine.restore(snapshot!.sections);
    const sensors = [...engine.sensors()].map(({ device, metric, unit, newestAt, newestValue }) => ({
      device,
      metric,
      unit: unit ?? null,
      newestAt,
      newestValue,
    }));
    const { outOfOrder, rollupsEarly } = engine;
    const rollups: EngineOutput[] = [];
    engine.close({ emit: (output) => void (output.kind === 'rollups' && rollups.push(output)) });
    const upgraded = upgradedEpisodes(snapshot!.sections);
    expect({ counters: { outOfOrder, rollupsEarly }, sensors, rollups, upgraded }).toEqual(expected);
  } finally {
    await rm(directory, { recursive: true });
  }
});

it('a snapshot of this release has the sections and arrays that the newest sample has', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'sample-'));
  try {
    await writeFile(path.join(directory, 'snapshot'), await readFile(path.join(samples, versions.at(-1)!)));
    const { snapshot } = await new SnapshotFile(directory).load();
    const engine = engineOf('rules');
    run(engine, faultStream(3, 2_500));
    const shapeOf = (sections: readonly { name: string; version: number; arrays: object }[]) =>
      sections.map(({ name, version, arrays }) => [name, version, Object.keys(arrays)]);
    expect(shapeOf(engine.snapshot())).toEqual(shapeOf(snapshot!.sections));
  } finally {
    await rm(directory, { recursive: true });
  }
});
