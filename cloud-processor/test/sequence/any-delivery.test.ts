import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ModelLane } from '../support/model-lane.ts';
import { ModelProcessor } from './model-processor.ts';

const small = fc.integer({ min: 1, max: 4 });

/** What may happen to a lane, its stream and its processor, in any order. */
const events = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('append' as const), count: small }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('start' as const) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('send' as const), max: small, copies: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('damage' as const), at: fc.nat(30), count: small }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('read' as const), count: small }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose-unread' as const), at: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose-stream' as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('restart' as const),
        from: fc.constantFrom('newest' as const, 'previous' as const),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('hear' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('rewind' as const), by: small }) },
  ),
  { maxLength: 80, size: 'max' },
);
type Event = typeof events extends fc.Arbitrary<readonly (infer E)[]> ? E : never;

function happen(lane: ModelLane, processor: ModelProcessor, event: Event): void {
  switch (event.kind) {
    case 'append':
      return lane.append(event.count);
    case 'start':
      return lane.start();
    case 'damage':
      return lane.damage(event.at, event.count);
    case 'send': {
      const batch = lane.read(event.max);
      if (batch === undefined) return;
      for (let copy = 0; copy < event.copies; copy++) processor.stream.push(batch);
      // No copy: it was acknowledged and is lost all the same.
      lane.next = batch.to + 1;
      return;
    }
    case 'read':
      return processor.read(event.count);
    case 'lose-unread': {
      const at = processor.stream.length - 1 - event.at;
      if (event.at < processor.unread) processor.stream[at] = undefined;
      return;
    }
    case 'lose-stream':
      return processor.loseStream();
    case 'checkpoint':
      return processor.checkpoint();
    case 'restart':
      return processor.restart(event.from);
    case 'hear':
      return lane.hear(processor.floor);
    case 'rewind':
      lane.next = Math.max(lane.beginning, lane.next - event.by);
  }
}

/** Lets everything arrive: gateways go back to the floor and send, the processor reads and saves. */
function settle(lanes: readonly ModelLane[], processor: ModelProcessor, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    for (const lane of lanes) {
      processor.read(Infinity);
      processor.checkpoint();
      processor.checkpoint();
      lane.hear(processor.floor);
      for (let batch = lane.read(3); batch !== undefined; batch = lane.read(3)) {
        processor.stream.push(batch);
        lane.next = batch.to + 1;
      }
    }
  }
  processor.read(Infinity);
}

const namesOf = (lane: ModelLane): string[] => lane.items.map(({ epoch, number }) => `${epoch}/${number}`);
const unsigned = (name: string): string => name.replace(/^-/, '');

describe('whatever is lost, repeated and sent again', () => {
  it('every number is applied once and in order, through any restart, without an alarm', () => {
    fc.assert(
      fc.property(events, (list) => {
        const lane = new ModelLane('a');
        const processor = new ModelProcessor();
        for (const event of list) {
          happen(lane, processor, event);
          const { floor, highest } = processor.floorNow;
          expect(highest).toBeGreaterThanOrEqual(floor);
        }
        settle([lane], processor, 2);
        expect(processor.applied.map(unsigned)).toEqual(namesOf(lane));
        // Only what the gateway lost is applied as lost.
        const lost = processor.applied.filter((name) => name.startsWith('-')).map(unsigned);
        const damaged = new Set([...lane.damaged].map((at) => namesOf(lane)[at]));
        expect(lost.filter((name) => !damaged.has(name))).toEqual([]);
        expect(processor.alarms).toEqual([]);
        const last = lane.items.at(-1);
        const end =
          last === undefined ? { epoch: null, floor: 0, highest: 0 } : { floor: last.number, highest: last.number };
        expect(processor.floorNow).toMatchObject(end);
      }),
      { numRuns: 1_000 },
    );
  });

  it('what is not applied shows in the floor at once', () => {
    fc.assert(
      fc.property(events, fc.nat(10), (list, skipped) => {
        const lane = new ModelLane('a');
        const processor = new ModelProcessor();
        for (const event of list) happen(lane, processor, event);
        settle([lane], processor, 2);
        // A loss of any length, and then one batch.
        const before = lane.items.length;
        lane.append(1);
        for (let i = 0; i < skipped; i++) {
          if (i % 4 === 3) lane.start();
          else lane.append(1);
        }
        lane.next = lane.items.length - 1;
        processor.stream.push(lane.read(1));
        processor.read(Infinity);
        const { epoch, floor, highest } = processor.floorNow;
        const isHole = lane.items.length > before + 1;
        expect(highest > floor).toBe(isHole);
        const wanted = isHole && before > 0 ? lane.positionOf(epoch ?? '', floor + 1) : before;
        expect(wanted).toBe(before);
      }),
      { numRuns: 300 },
    );
  });
});

describe('without any checkpoint', () => {
  it('all that the gateway still holds is applied once and in order, and only what it no longer holds raises an alarm', () => {
    fc.assert(
      fc.property(events, fc.nat(30), fc.boolean(), events, (list, trimmed, streamToo, later) => {
        const lane = new ModelLane('a');
        const processor = new ModelProcessor();
        for (const event of list) happen(lane, processor, event);
        settle([lane], processor, 2);
        lane.trimmedTo = Math.min(trimmed, Math.max(0, lane.items.length - 1));
        if (streamToo) processor.loseStream();
        processor.restart('none');
        for (const event of later) if (event.kind !== 'damage') happen(lane, processor, event);
        settle([lane], processor, 3);
        const names = namesOf(lane);
        const positions = processor.applied.map((name) => names.indexOf(unsigned(name)));
        expect(positions).toEqual([...positions].sort((a, b) => a - b));
        expect(new Set(positions).size).toBe(positions.length);
        const applied = new Set(positions);
        const held = names.map((_, at) => at).filter((at) => at >= lane.trimmedTo);
        expect(held.filter((at) => !applied.has(at))).toEqual([]);
        const allowed = lane.trimmedTo === 0 ? [] : ['trimmed'];
        expect(processor.alarms.filter((cause) => !allowed.includes(cause))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a copied disk', () => {
  it('raises an alarm when both send, and nothing of either is dropped or applied twice', () => {
    fc.assert(
      fc.property(events, small, small, fc.array(fc.boolean(), { maxLength: 20 }), (list, ours, theirs, turns) => {
        const lane = new ModelLane('a');
        const processor = new ModelProcessor();
        lane.append(1);
        for (const event of list) happen(lane, processor, event);
        const copy = new ModelLane('b', lane);
        for (const [one, count] of [
          [lane, ours],
          [copy, theirs],
        ] as const) {
          one.start();
          one.append(count);
        }
        // They take turns.
        for (const turn of turns) {
          const one = turn ? lane : copy;
          const batch = one.read(2);
          if (batch === undefined) continue;
          processor.stream.push(batch);
          one.next = batch.to + 1;
        }
        settle([lane, copy], processor, 4);
        const expected = new Set([...namesOf(lane), ...namesOf(copy)]);
        expect(processor.applied.map(unsigned).toSorted()).toEqual([...expected].toSorted());
        expect(new Set(processor.alarms)).toEqual(new Set(['second-successor']));
      }),
      { numRuns: 300 },
    );
  });

  it('that is put back later raises an alarm, and nothing is dropped or applied twice', () => {
    fc.assert(
      fc.property(events, small, fc.nat(2), small, (list, lost, starts, count) => {
        const lane = new ModelLane('a');
        const processor = new ModelProcessor();
        lane.append(1);
        for (const event of list) happen(lane, processor, event);
        const image = new ModelLane('b', lane);
        lane.append(lost);
        for (let i = 0; i < starts; i++) lane.start();
        settle([lane], processor, 2);
        image.start();
        image.append(count);
        settle([image], processor, 3);
        const expected = new Set([...namesOf(lane), ...namesOf(image)]);
        expect(processor.applied.map(unsigned).toSorted()).toEqual([...expected].toSorted());
        expect(processor.alarms).toEqual([starts === 0 ? 'shorter' : 'second-successor']);
      }),
      { numRuns: 300 },
    );
  });
});
