import { encodeFloorMessage, type FloorMessage } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { FloorListener } from '../../src/uplink/floor-listener.ts';
import { LaneCursor } from '../../src/uplink/lane-cursor.ts';
import { doubtsOf, locateFloor } from '../../src/uplink/locate-floor.ts';
import { silentLogger } from '../support/devices.ts';
import { ModelLane } from './model-lane.ts';
import { ModelProcessor, ModelStream } from './model-processor.ts';

const GRACE_MS = 300_000;
const BATCH = 1_000;
/** Within so many rounds of five seconds all is well again. */
const ROUNDS_MAX = 60;

/** Everything that can happen, and how far. */
const events = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('append'), n: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 16, arbitrary: fc.record({ kind: fc.constant('send'), n: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send-lost'), n: fc.constant(1) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send-unheard'), n: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('others'), n: fc.integer({ min: 1, max: 400 }) }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('process'), n: fc.integer({ min: 1, max: 500 }) }) },
  { weight: 14, arbitrary: fc.record({ kind: fc.constant('checkpoint'), n: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 16, arbitrary: fc.record({ kind: fc.constant('floor'), n: fc.constant(1) }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('time'), n: fc.integer({ min: 1, max: 400 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('restart'), n: fc.constant(1) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop'), n: fc.integer({ min: 1, max: 10 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('lose-end'), n: fc.integer({ min: 1, max: 600 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('discard-old'), n: fc.integer({ min: 1, max: 600 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('recreate'), n: fc.constant(1) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash'), n: fc.constant(1) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fall-back'), n: fc.constant(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('save-image'), n: fc.constant(1) }) },
);
const amnesia = fc.record({ kind: fc.constant('forget'), n: fc.constant(1) });
const forged = fc.record({ kind: fc.constant('forge'), n: fc.integer({ min: 1, max: 40 }) });
const restored = fc.record({ kind: fc.constant('restore-image'), n: fc.constant(1) });
type Event = { readonly kind: string; readonly n: number };

/** A gateway, a stream and a processor, and a clock. */
class World {
  readonly stream = new ModelStream();
  readonly processor = new ModelProcessor();
  lane = new ModelLane();
  rewinds = 0;
  /** Floors that were called forged although no disk was set back, and those that were. */
  accused = 0;
  forged = 0;
  #sentThrough = 0;
  /** What was trimmed before it was safe in the cloud for the grace period. */
  readonly trimmedEarly: string[] = [];
  #image: ModelLane | undefined;
  #isCopied = false;
  #cursor: LaneCursor;
  #starts = 0;
  #now = 0;
  #probedAt = 0;
  /** When a processor's safe checkpoint contained a number for the first time. */
  readonly #safeSince = new Map<string, number>();
  #listener = this.#listen();

  constructor() {
    this.#cursor = this.#start();
  }

  #start(): LaneCursor {
    this.#starts += 1;
    this.lane.begin(`${this.#starts}-0123456789abcdef`);
    this.#listener = this.#listen();
    this.#sentThrough = this.lane.markedThrough;
    const next = Math.min(this.lane.saved, this.lane.next);
    return new LaneCursor({
      next,
      earlier: { from: this.lane.first, bytes: Math.max(0, next - this.lane.first) * 100 },
      graceMs: GRACE_MS,
      uncommittedBytesMax: 12 * BATCH,
      batchBytesMax: BATCH,
    });
  }

  #listen(): FloorListener {
    const name = { site: 'Leipzig', gateway: 'hall 1' };
    return new FloorListener(name, silentLogger, (message, isOutdated) => this.#hear(message, isOutdated));
  }

  happens({ kind, n }: Event): void {
    switch (kind) {
      case 'append':
        return this.lane.append(n);
      case 'send':
        for (let i = 0; i < n; i++) this.send(true, true);
        return;
      case 'send-lost':
        return this.send(false, false);
      case 'send-unheard':
        for (let i = 0; i < n; i++) this.send(true, false);
        return;
      case 'others':
        for (let i = 0; i < n; i++) this.stream.add(undefined);
        return;
      case 'process':
        return this.processor.read(this.stream, n);
      case 'checkpoint':
        for (let i = 0; i < n; i++) this.checkpoint();
        return;
      case 'floor':
        return this.floor();
      case 'time':
        return this.pass(n * 1_000);
      case 'restart':
        this.#cursor = this.#start();
        return;
      case 'drop':
        return this.lane.drop(n);
      case 'lose-end':
        return this.stream.loseEnd(n);
      case 'discard-old':
        return this.stream.discardOld(n);
      case 'recreate':
        return this.stream.recreate();
      case 'crash':
        return this.processor.crash('newest');
      case 'fall-back':
        return this.processor.crash('previous');
      case 'forget':
        return this.processor.crash('none');
      case 'save-image':
        this.#image = this.lane.copy();
        return;
      case 'forge':
        return this.forge(n);
      case 'restore-image':
        if (this.#image === undefined) return;
        this.lane = this.#image.copy();
        this.#isCopied = true;
        this.#cursor = this.#start();
        return;
      default:
        throw new Error(kind);
    }
  }

  /** Does what the sender does with one batch. */
  send(arrives: boolean, isHeard: boolean): void {
    const cursor = this.#cursor;
    if (cursor.next >= this.lane.next) return;
    const isProbe = cursor.isHeld;
    if (isProbe && this.#now - this.#probedAt < 60_000) return;
    this.#probedAt = this.#now;
    const wanted = Math.max(this.lane.first, (cursor.floor ?? this.lane.beginning - 1) + 1);
    const part = this.lane.read(isProbe ? wanted : cursor.next, 5);
    if (part === undefined) return;
    this.lane.markSent(part.to);
    this.#sentThrough = Math.max(this.#sentThrough, part.to);
    if (!arrives) return;
    const seq = this.stream.add(part);
    if (!isHeard) return;
    if (isProbe) cursor.probed(seq);
    else cursor.acknowledged(part.from, part.to, (part.to - part.from + 1) * 200, seq);
  }

  checkpoint(): void {
    this.processor.checkpoint();
    for (const number of this.processor.safe?.applied.keys() ?? []) {
      if (!this.#safeSince.has(number)) this.#safeSince.set(number, this.#now);
    }
  }

  floor(): void {
    const message = this.processor.message();
    if (message !== undefined) this.#listener.hear(encodeFloorMessage(message));
  }

  /** Somebody else says that more is safe than there is: in the name of the same processor, as a newer one than it, or of another one. */
  forge(more: number): void {
    const real = this.processor.message();
    const last = this.lane.items.at(-1);
    if (real === undefined || last === undefined) return;
    this.forged += 1;
    const floor = { epoch: last.epoch, floor: last.number + more, highest: last.number + more };
    const checkpoints = more % 4 === 3 ? 'f'.repeat(16) : real.checkpoints;
    const ordinal = [real.ordinal, real.ordinal + 20, 9e15, 1][more % 4] ?? 1;
    const message = { ...real, checkpoints, ordinal, lanes: { anomaly: floor, telemetry: floor } };
    this.#listener.hear(encodeFloorMessage(message));
  }

  #hear(message: FloorMessage, isOutdated: boolean): void {
    const { telemetry } = message.lanes;
    const located = locateFloor(this.lane, telemetry);
    const doubts = doubtsOf(this.lane, located, telemetry.epoch, this.#sentThrough);
    const { through, hole } = located;
    if (isOutdated) return this.#cursor.doubt(through);
    if (doubts === 'forged' && !this.#isCopied) this.accused += 1;
    const series = message.checkpoints;
    const { created, position: streamPosition } = message.stream;
    const heard = { series, created, streamPosition, through, hole, isDoubtful: doubts !== 'none' };
    const why = this.#cursor.hear(heard, this.lane, this.#now);
    if (why !== undefined) this.rewinds += 1;
  }

  /** Time passes, and the house is kept. */
  pass(ms: number): void {
    this.#now += ms;
    const through = this.#cursor.trimmable(this.#now);
    this.lane.saved = Math.max(this.#cursor.next, (through ?? 0) + 1);
    if (through === undefined) return;
    const names = this.lane.items.map(({ epoch, number }) => `${epoch}:${number}`);
    for (const position of this.lane.release(through)) {
      const since = this.#safeSince.get(names[position - 1] ?? '');
      if (since === undefined || this.#now - since < GRACE_MS) this.trimmedEarly.push(names[position - 1] ?? '');
    }
  }

  /** Nothing goes wrong any more. */
  calm(): void {
    for (let i = 0; i < 50; i++) this.send(true, true);
    this.processor.read(this.stream, 2_000);
    this.checkpoint();
    this.checkpoint();
    this.floor();
    this.pass(5_000);
  }

  /** Numbers of the lane that are not applied exactly once, as what they are. */
  wrong(mayForget: boolean): string[] {
    const { applied } = this.processor.state;
    return this.lane.items.flatMap(({ epoch, number, gone }) => {
      const by = applied.get(`${epoch}:${number}`) ?? [];
      const [how] = by;
      // What one copy of the disk dropped and told of, another one may still hold.
      const isFine = by.length === 1 && (how === 'record' || (how === 'cap' && (gone !== undefined || this.#isCopied)));
      // What a processor forgot is not there any more once it is trimmed; it is told so, or begins behind it.
      const isForgotten = mayForget && gone === 'trimmed' && (by.length === 0 || by.join() === 'trimmed');
      return isFine || isForgotten ? [] : [`${epoch}:${number} ${by.join()}`];
    });
  }
}

function run(happened: readonly Event[], mayForget = false): void {
  const world = new World();
  for (const event of happened) world.happens(event);
  // A tail always follows: ticks are made every five seconds.
  for (let round = 0; round < ROUNDS_MAX && (round < 10 || world.wrong(mayForget).length > 0); round++) {
    if (round < 10) world.lane.append(1);
    world.calm();
  }
  expect(world.wrong(mayForget)).toEqual([]);
  expect(world.trimmedEarly).toEqual([]);
  const before = world.rewinds;
  for (let round = 0; round < 100; round++) world.calm();
  expect(world.rewinds - before, 'rewinds when all is well').toBe(0);
  expect(world.wrong(mayForget)).toEqual([]);
  expect(world.accused > 0 && world.forged === 0, 'a true floor is called forged').toBe(false);
}

const runs = { numRuns: 500 };

describe('a lane on its way', { tags: ['long'] }, () => {
  it('arrives whole, whatever batches, the stream and the processor lose', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 120, size: 'max' }), (happened) => run(happened)),
      runs,
    );
  });

  it('arrives whole but for what was trimmed when the processor forgets all', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 40, arbitrary: events }, { weight: 1, arbitrary: amnesia }), {
          maxLength: 120,
          size: 'max',
        }),
        (happened) => run(happened, true),
      ),
      runs,
    );
  });

  it('arrives whole, and nothing is deleted too early, whoever else says that more is safe than was sent', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 10, arbitrary: events }, { weight: 1, arbitrary: forged }), {
          maxLength: 120,
          size: 'max',
        }),
        (happened) => run(happened),
      ),
      runs,
    );
  });

  it('arrives whole from a disk that was set back to an older copy', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 30, arbitrary: events }, { weight: 1, arbitrary: restored }), {
          maxLength: 120,
          size: 'max',
        }),
        (happened) => run(happened),
      ),
      runs,
    );
  });
});
