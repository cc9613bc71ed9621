import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { configs, engineOf, faultStream, type Item, run } from './fault-stream.ts';

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
      fc.property(
        fc.integer(),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
        (seed, cuts) => {
          const items = faultStream(seed, 3_000);
          const whole = engineOf(config);
          const expected = run(whole, items);
          let engine = engineOf(config);
          const outputs = [];
          let done = 0;
          for (const cut of [...cuts].sort((a, b) => a - b).map((part) => Math.floor(part * items.length))) {
            outputs.push(...run(engine, items.slice(done, cut)));
            done = cut;
            const sections = structuredClone(engine.snapshot());
            engine = engineOf(config);
            expect(engine.restore(sections)).toEqual({ leftOut: [], rollups: [] });
          }
          outputs.push(...run(engine, items.slice(done)));
          expect(outputs).toEqual(expected);
          expect(visible(engine)).toEqual(visible(whole));
        },
      ),
      { numRuns: 15 },
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
});
