import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Connection, NOW, RepeatJudge } from './repeating-devices.ts';

/** How a device sends what it has no acknowledgement for. */
type Habit =
  /** With DUP, under the same identifier, as the protocol has it. Identifiers count up. */
  | 'dup'
  /** The same, and identifiers are the lowest free ones. */
  | 'dup-lowest'
  /** Without DUP, under other identifiers, in order: a program's own buffer. */
  | 'in-order';

/** What tells its messages apart. */
type Content =
  /** Bare numbers, all equal. */
  | 'equal'
  /** Bare numbers that count up. */
  | 'numbers'
  /** Equal values with a time in whole seconds, three of each. */
  | 'seconds'
  /** Equal values with sequence numbers. */
  | 'seq';

interface Kind {
  readonly habit: Habit;
  readonly content: Content;
}

interface Sent {
  readonly number: number;
  id: number;
}

const IN_FLIGHT_MAX = 16;

/** A device that makes numbered messages and sends each until it is acknowledged, over one connection after the other of one client id. */
class Device {
  readonly #kind: Kind;
  readonly #sensor: string;
  #connection: Connection;
  #made = 0;
  #lastId = 0;
  /** Sent and not acknowledged, in order. */
  #pending: Sent[] = [];
  /** On its way to the agent, and on its way back. */
  #toAgent: { readonly sent: Sent; readonly isDup: boolean }[] = [];
  #answers: number[] = [];

  constructor(index: number, kind: Kind) {
    this.#kind = kind;
    this.#sensor = `sensors/device-${index}/value`;
    this.#connection = new Connection(`device ${index}`);
  }

  get isDone(): boolean {
    return this.#pending.length === 0;
  }

  get made(): number {
    return this.#made;
  }

  make(): void {
    if (this.#pending.length >= IN_FLIGHT_MAX) return;
    const sent = { number: this.#made++, id: this.#nextId() };
    this.#pending.push(sent);
    this.#toAgent.push({ sent, isDup: false });
  }

  #nextId(): number {
    if (this.#kind.habit !== 'dup-lowest') return (this.#lastId = (this.#lastId % 65_535) + 1);
    const taken = new Set(this.#pending.map(({ id }) => id));
    for (let id = 1; ; id++) if (!taken.has(id)) return id;
  }

  /** The agent reads and takes some of what was sent. */
  read(judge: RepeatJudge, count: number): void {
    const messages = this.#toAgent.splice(0, count);
    if (messages.length === 0) return;
    const connection = this.#connection;
    const ids = messages.map(({ sent: { id } }) => id);
    judge.take(
      messages.map(({ sent: { number, id }, isDup }) =>
        connection.message(id, this.#payload(number), { isDup, topic: this.#sensor, at: NOW + number }),
      ),
      (isAnswered) => {
        if (isAnswered && connection.isOpen) this.#answers.push(...ids);
      },
    );
  }

  #payload(number: number): object | number {
    const seconds = { value: 21.5, ts: NOW + 1_000 * Math.floor(number / 3) };
    return { equal: 21.5, numbers: number, seconds, seq: { value: 21.5, seq: number } }[this.#kind.content];
  }

  /** The device reads some acknowledgements. */
  hear(count: number): void {
    for (const id of this.#answers.splice(0, count)) {
      const [oldest] = this.#pending;
      if (oldest?.id !== id) throw new Error(`acknowledged ${id}, and ${oldest?.id} is the oldest`);
      this.#pending.shift();
    }
  }

  /** The connection breaks, and what is on its way is lost. */
  cut(): void {
    this.#connection.cut();
    this.#toAgent = [];
    this.#answers = [];
  }

  connect(): void {
    this.#connection = new Connection(this.#connection.clientId);
    const isDup = this.#kind.habit !== 'in-order';
    if (!isDup) for (const sent of this.#pending) sent.id = this.#nextId();
    this.#toAgent = this.#pending.map((sent) => ({ sent, isDup }));
  }
}

type Step =
  | { readonly do: 'make' | 'hear' | 'cut'; readonly device: number; readonly count: number }
  | { readonly do: 'read'; readonly device: number; readonly count: number }
  | { readonly do: 'commit' | 'refuse' | 'snapshot' }
  | { readonly do: 'kill'; readonly written: number };

const device = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('make' as const), device, count: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('read' as const), device, count: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 5, arbitrary: fc.constant({ do: 'commit' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('hear' as const), device, count: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut' as const), device, count: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'refuse' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'snapshot' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const), written: fc.nat(3) }) },
);

const steps = fc.array(step, { minLength: 1, maxLength: 80, size: 'max' });

class World {
  readonly judge = new RepeatJudge();
  readonly devices: readonly Device[];

  constructor(kinds: readonly Kind[]) {
    this.devices = kinds.map((kind, index) => new Device(index, kind));
  }

  /** Each device loses its connection once before anything else goes wrong: what is known to repeat with DUP sends nothing again without it. */
  begin(): void {
    for (const each of this.devices) {
      each.make();
      each.read(this.judge, 1);
      each.cut();
      each.connect();
    }
    this.finish();
    // The journal says so with the next message.
    for (const each of this.devices) each.make();
    this.finish();
  }

  run(one: Step): void {
    const { judge, devices } = this;
    if ('device' in one) {
      const acting = devices[one.device % devices.length]!;
      if (one.do === 'read') acting.read(judge, one.count);
      else if (one.do === 'hear') acting.hear(one.count);
      else if (one.do === 'make') for (let i = 0; i < one.count; i++) acting.make();
      else {
        acting.cut();
        acting.connect();
      }
    } else if (one.do === 'commit') judge.commit();
    else if (one.do === 'snapshot') judge.snapshot();
    else {
      for (const each of devices) each.cut();
      if ('written' in one) judge.kill(one.written);
      else judge.refuse();
      for (const each of devices) each.connect();
    }
  }

  /** No more faults: everything is sent, taken and acknowledged. */
  finish(): void {
    while (!this.devices.every(({ isDone }) => isDone)) {
      for (const each of this.devices) each.read(this.judge, IN_FLIGHT_MAX);
      while (this.judge.open > 0) this.judge.commit();
      for (const each of this.devices) each.hear(Infinity);
    }
  }

  /** How often the readings of a device were counted, by what its messages can be told by. */
  counted(index: number, { content }: Kind): Map<number | string, number> {
    const counts = new Map<number | string, number>();
    for (const { reading } of this.judge.journaled) {
      if (reading.device !== `device-${index}`) continue;
      const { value, seq, eventTime } = reading;
      const name = { equal: 'equal', numbers: value, seconds: eventTime, seq: seq ?? NaN }[content];
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return counts;
  }
}

/** What is to be counted of a device that has made so many messages. */
function expected(made: number, { content }: Kind): Map<number | string, number> {
  const counts = new Map<number | string, number>();
  for (let number = 0; number < made; number++) {
    const name = content === 'equal' ? 'equal' : content === 'seconds' ? NOW + 1_000 * Math.floor(number / 3) : number;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

const total = (counts: ReadonlyMap<unknown, number>): number => [...counts.values()].reduce((sum, n) => sum + n, 0);

const exact: readonly Kind[] = [
  { habit: 'dup', content: 'equal' },
  { habit: 'dup', content: 'numbers' },
  { habit: 'dup', content: 'seconds' },
  { habit: 'dup', content: 'seq' },
  { habit: 'dup-lowest', content: 'numbers' },
  { habit: 'dup-lowest', content: 'seq' },
  { habit: 'in-order', content: 'seq' },
];

describe('devices that keep their client id and send until they are acknowledged, with kills, refusals and broken connections at any moment', () => {
  it('have every message counted exactly once, if they repeat with DUP, or in order what has a time or a number', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...exact), { minLength: 1, maxLength: 3 }), steps, (kinds, taken) => {
        const world = new World(kinds);
        world.begin();
        for (const one of taken) world.run(one);
        world.finish();
        for (const [index, kind] of kinds.entries()) {
          const { made } = world.devices[index]!;
          expect(world.counted(index, kind)).toEqual(expected(made, kind));
        }
      }),
      { numRuns: Number(process.env['RUNS'] ?? 400) },
    );
  });

  it('have nothing lost of bare numbers that they repeat in order without DUP', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const kind = { habit: 'in-order', content: 'numbers' } as const;
        const world = new World([kind]);
        for (const one of taken) world.run(one);
        world.finish();
        const counted = world.counted(0, kind);
        expect(counted.size).toBe(world.devices[0]!.made);
        // What was answered and not heard of is counted again.
        expect(total(counted)).toBeGreaterThanOrEqual(counted.size);
      }),
      { numRuns: Number(process.env['RUNS'] ?? 150) },
    );
  });

  it('have nothing counted twice of equal times and values that they repeat in order without DUP', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const kind = { habit: 'in-order', content: 'seconds' } as const;
        const world = new World([kind]);
        for (const one of taken) world.run(one);
        world.finish();
        const made = expected(world.devices[0]!.made, kind);
        const counted = world.counted(0, kind);
        // Of equal ones on both sides of a break nothing tells which are repeats.
        expect(new Set(counted.keys())).toEqual(new Set(made.keys()));
        for (const [name, count] of counted) expect(count).toBeLessThanOrEqual(made.get(name) ?? 0);
      }),
      { numRuns: Number(process.env['RUNS'] ?? 150) },
    );
  });
});
