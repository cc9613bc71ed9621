import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { SnapshotFile } from '../../src/snapshot/snapshot-file.ts';

import { copied } from '../../src/state-section.ts';
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

  it('is of the moment in which it was captured, although it is read later', () => {
    const items: readonly Item[] = faultStream(8, 3_000);
    const engine = engineOf(config);
    for (const cut of [0, 1_000, 2_900]) {
      run(engine, items.slice(0, cut));
      const then = engine.snapshot();
      const { sections, release } = engine.capture();
      run(engine, items.slice(cut));
      expect(sections.map(copied)).toEqual(then);
      expect(engine.capture.bind(engine)).toThrow('already');
      release();
    }
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
          const { sections, release } = whole.capture();
          const outputs = run(whole, items.slice(cut));
          await new SnapshotFile(directory).save({}, sections);
          release();
          const { snapshot, problems } = await new SnapshotFile(directory).load();
          const engine = engineOf(config);
          expect([engine.restore(snapshot!.sections).leftOut, problems]).toEqual([[], []]);
          expect(run(engine, items.slice(cut))).toEqual(outputs);
          expect(visible(engine)).toEqual(visible(whole));
        }),
        seeds,
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
