import assert from 'node:assert/strict';

import fc from 'fast-check';
import { SegmentLogError } from '@floorwatch/segment-log';
import { describe, expect, it } from 'vitest';

import type { LaneSpool } from '../../src/lane-spool.ts';
import { LaneSpoolModel } from './lane-spool-model.ts';

/** One implementation of {@link LaneSpool} under test, on a disk that can be cut off. */
export interface LaneSpoolSubject {
  /** At most 128 KiB, in segments of 32 KiB; drops what was not sent. */
  open(): Promise<LaneSpool>;
  close(): Promise<void>;
  /** Ends the process; the next {@link open} finds what the disk then holds. `power`: only what is safe, and of the rest what it likes. */
  crash(how: 'kill' | 'power'): void;
  /** The disk fails from the `after`th write or sync on. */
  fail(after: number, code: 'EIO' | 'ENOSPC'): void;
  heal(): void;
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ append: fc.integer({ min: 1, max: 12 }), size: fc.integer({ min: 0, max: 1_700 }) }),
    },
    { weight: 2, arbitrary: fc.record({ start: fc.integer({ min: 1, max: 5 }) }) },
    { weight: 4, arbitrary: fc.record({ send: fc.integer({ min: 1, max: 20_000 }) }) },
    { weight: 2, arbitrary: fc.record({ release: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    { weight: 1, arbitrary: fc.constant({ reopen: true } as const) },
    { weight: 2, arbitrary: fc.record({ crash: fc.constantFrom('kill' as const, 'power' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        fail: fc.integer({ min: 0, max: 8 }),
        code: fc.constantFrom('EIO' as const, 'ENOSPC' as const),
        starts: fc.boolean(),
        crash: fc.constantFrom('kill' as const, 'power' as const, 'no' as const),
      }),
    },
  ),
  { minLength: 1, maxLength: 60, size: 'max' },
);

type Step = (typeof steps extends fc.Arbitrary<infer T> ? T : never)[number];

const fullSegments: Step[] = [{ start: 1 }, ...Array.from({ length: 8 }, () => ({ append: 12, size: 1_700 }))];

const append = (count: number, size: number): Step => ({ append: count, size });

/** Two releases of which none deletes a segment, starts and crashes between them. */
const foundSteps: Step[] = [
  append(1, 0),
  { start: 1 },
  append(1, 0),
  append(1, 0),
  append(3, 1_465),
  append(12, 1_312),
  append(10, 0),
  append(7, 1_045),
  append(11, 860),
  { crash: 'power' },
  append(3, 1_397),
  append(2, 1_691),
  append(5, 1_552),
  append(5, 112),
  { send: 17_849 },
  { send: 12_535 },
  { fail: 8, code: 'EIO', starts: true, crash: 'kill' },
  append(2, 792),
  append(12, 1_270),
  { crash: 'power' },
  append(4, 3),
  append(3, 86),
  { start: 5 },
  append(12, 814),
  { send: 2 },
  { send: 5_546 },
  { crash: 'power' },
  { release: 0.9999999999999994 },
  { start: 4 },
  { start: 1 },
  { crash: 'power' },
  append(9, 1_620),
  { fail: 6, code: 'EIO', starts: false, crash: 'power' },
  append(7, 131),
  append(9, 422),
  append(1, 11),
];

/** Every fate once, so that it does not depend on luck whether a run has seen it: a lane at its cap, one given back whole, and each failure. */
const certainSteps: Step[][] = [
  fullSegments,
  [...fullSegments.slice(0, 6), ...Array.from({ length: 6 }, () => ({ send: 20_000 })), { release: 1 }],
  ...(['EIO', 'ENOSPC'] as const).flatMap((code) =>
    (['kill', 'power', 'no'] as const).flatMap((crash) =>
      [0, 8].map((fail) => fullSegments.slice(0, 2).concat({ fail, code, starts: false, crash })),
    ),
  ),
  // A gap is released, and a start writes down what is still known of dropped frames before a crash undoes the release.
  ...(['kill', 'power'] as const).map((crash): Step[] =>
    fullSegments.concat({ send: 20_000 }, { release: 1 }, { start: 1 }, { crash }),
  ),
  // What a search had found of the same kind (seed -1903292482).
  foundSteps,
];

/** What every {@link LaneSpool} promises. */
export function laneSpoolContract(name: string, create: () => LaneSpoolSubject): void {
  describe(`a lane spool ${name}`, () => {
    it(
      'holds every number of every epoch exactly once, as a record or in an exact gap, whatever happens',
      { tags: ['long'], timeout: 120_000 },
      async () => {
        const seen = new Set<string>();
        await fc.assert(
          fc.asyncProperty(steps, async (list) => {
            const subject = create();
            const model = new LaneSpoolModel();
            let spool = await subject.open();
            let next = 1;
            let cursor: number | undefined;
            const check = async (): Promise<void> => {
              for (const part of await model.check(spool)) if (part.kind === 'gap') seen.add(part.gap.reason);
            };
            const reopen = async (): Promise<void> => {
              spool = await subject.open();
              model.reopened(spool);
              next = Math.min(next, spool.next);
              await check();
            };
            for (const step of list) {
              if ('append' in step) await model.append(spool, step.append, step.size, false).catch(expectFull);
              else if ('start' in step) await model.append(spool, step.start, 10, true).catch(expectFull);
              else if ('send' in step) {
                const part = await spool.read(next, step.send, 1_000);
                if (part?.kind === 'records' && (await spool.markSent(part.to)))
                  for (let position = part.from; position <= part.to; position++) model.sent.add(position);
                next = part === undefined ? next : part.to + 1;
                // Rarely, as a sender does; it must not be what makes the mark safe.
                if (step.send % 4 > 0) continue;
                await spool.saveSentThrough(next);
                cursor = next;
                assert.equal(spool.sentThrough, next);
              } else if ('release' in step) await spool.release(Math.floor(step.release * (next - 1)));
              else if ('reopen' in step) {
                await subject.close();
                await reopen();
                assert.equal(spool.sentThrough, cursor ?? 1);
              } else if ('fail' in step) {
                subject.fail(step.fail, step.code);
                const failed = await model.append(spool, 5, 500, step.starts).then(
                  () => false,
                  () => true,
                );
                if (step.crash === 'no') {
                  subject.heal();
                } else {
                  subject.crash(step.crash);
                  await reopen();
                }
                seen.add(`${step.code} ${step.crash} ${failed ? 'refused' : 'taken'}`);
              } else {
                subject.crash(step.crash);
                await reopen();
              }
            }
            await check();
            await subject.close();
          }),
          // Also ends the search for a smaller example in time.
          { numRuns: 150, examples: certainSteps.map((list) => [list]), plugins: [fc.interruptAfterTimeLimit(60_000)] },
        );
        // Nothing of what may happen has only seemed to be tried.
        expect([...seen].sort()).toEqual(
          [
            'trimmed',
            'cap',
            ...['EIO', 'ENOSPC'].flatMap((code) =>
              ['kill', 'power', 'no'].flatMap((crash) => [`${code} ${crash} refused`, `${code} ${crash} taken`]),
            ),
          ].sort(),
        );
      },
    );

    it('begins numbers at 1 in every epoch, and ends a part where the epoch ends', async () => {
      const subject = create();
      const model = new LaneSpoolModel();
      const spool = await subject.open();
      expect([spool.epoch, spool.lastNumber, spool.next, spool.first, spool.beginning]).toEqual([
        undefined,
        0,
        1,
        1,
        1,
      ]);
      expect(await spool.last()).toBeUndefined();
      expect(await spool.read(1, 1e6, 1e6)).toBeUndefined();
      expect(spool.locate('1-0', 1)).toBeUndefined();
      await model.append(spool, 3, 10, true);
      await model.append(spool, 4, 10, true);
      await model.append(spool, 1, 10, true);
      const parts = await model.check(spool, 1e6, 1e6);
      expect(parts.map(({ epoch, from, to, number }) => [epoch, from, to, number])).toEqual([
        ['1-0123456789abcdef', 1, 3, 1],
        ['2-0123456789abcdef', 4, 7, 1],
        ['3-0123456789abcdef', 8, 8, 1],
      ]);
      // A number that does not exist yet, one behind the end of an epoch, and an epoch that never was.
      expect(spool.locate('3-0123456789abcdef', 5)).toBe(12);
      expect([4, 5, 99].map((number) => spool.locate('1-0123456789abcdef', number))).toEqual([4, 4, 4]);
      expect(spool.locate('4-0123456789abcdef', 1)).toBeUndefined();
      await subject.close();
    });
  });
}

const codeOf = (error: unknown): unknown => (error instanceof SegmentLogError ? error.code : error);

/** An append that finds the lane full is a valid outcome; any other failure is not. */
const expectFull = (error: unknown): void => assert.equal(codeOf(error), 'full');
