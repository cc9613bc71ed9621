import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { SnapshotFile } from '../../src/snapshot/snapshot-file.ts';

import { configs, engineOf, faultStream, type Item, run } from './fault-stream.ts';

const ITEMS = 3_000;
const place = fc.integer({ min: 0, max: ITEMS });
const seeds = { numRuns: 15 };

/** Everything that can be seen of an engine. */
const visible = (engine: ReturnType<typeof engineOf>) => ({
  sections: engine.snapshot(),
  sensors: [...engine.sensors()],
  outOfOrder: engine.outOfOrder,
  rollupsEarly: engine.rollupsEarly,
});

describe.each(Object.keys(configs))('a snapshot of an engine with the configuration "%s"', (config) => {
  it('lets another engine go on as if nothing had happened, wherever it was taken', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(place, { minLength: 1, maxLength: 4 }), (seed, cuts) => {
        const items = faultStream(seed, ITEMS);
        const whole = engineOf(config);
        const expected = run(whole, items);
        let engine = engineOf(config);
        const outputs = [];
        let done = 0;
        for (const cut of [...cuts].sort((a, b) => a - b)) {
          outputs.push(...run(engine, items.slice(done, cut)));
          done = cut;
          const sections = structuredClone(engine.snapshot());
          engine = engineOf(config);
          expect(engine.restore(sections)).toEqual({ leftOut: [], rollups: [] });
        }
        outputs.push(...run(engine, items.slice(done)));
        expect(outputs).toEqual(expected);
        expect(visible(engine)).toEqual(visible(whole));
      }),
      seeds,
    );
  });

  it('is a copy: what comes after it changes nothing in it', () => {
    const items: readonly Item[] = faultStream(7, 3_000);
    const engine = engineOf(config);
    run(engine, items.slice(0, 2_000));
    const sections = engine.snapshot();
    const before = structuredClone(sections);
    run(engine, items.slice(2_000));
    expect(sections).toEqual(before);
  });

  it('goes through a file', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'engine-'));
    try {
      await fc.assert(
        fc.asyncProperty(fc.integer(), place, async (seed, cut) => {
          const items = faultStream(seed, ITEMS);
          const whole = engineOf(config);
          run(whole, items.slice(0, cut));
          // Prepared, and with readings between preparing and the snapshot.
          const [...steps] = whole.prepareSnapshot();
          const later = Math.min(items.length, cut + (seed % 3 === 0 ? 50 : 0));
          run(whole, items.slice(cut, later));
          await new SnapshotFile(directory).save({ steps: steps.length }, whole.snapshot());
          const { snapshot, problems } = await new SnapshotFile(directory).load();
          const engine = engineOf(config);
          expect([engine.restore(snapshot!.sections).leftOut, problems]).toEqual([[], []]);
          expect(run(engine, items.slice(later))).toEqual(run(whole, items.slice(later)));
          expect(visible(engine)).toEqual(visible(whole));
        }),
        seeds,
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
