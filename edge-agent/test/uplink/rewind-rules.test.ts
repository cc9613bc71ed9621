import { describe, expect, it } from 'vitest';

import { type HeardFloor, LaneCursor } from '../../src/uplink/lane-cursor.ts';

const GRACE_MS = 300_000;
const LANE = { beginning: 1, next: 1_001 };

/** A cursor that begins at `next`; batches hold 10 positions and 1,000 bytes. */
const cursorAt = (next = 1, uncommittedBytesMax = 1e9): LaneCursor =>
  new LaneCursor({
    next,
    earlier: { from: 1, bytes: (next - 1) * 100 },
    graceMs: GRACE_MS,
    uncommittedBytesMax,
    batchBytesMax: 1_000,
  });

const floor = (
  through: HeardFloor['through'],
  streamPosition: number,
  hole = false,
  other: Partial<HeardFloor> = {},
): HeardFloor => ({
  series: 'a',
  created: 'x',
  streamPosition,
  through,
  hole,
  isDoubtful: false,
  ...other,
});

/** Acknowledges batches up to position `to`, the first at sequence `seq`. */
function send(cursor: LaneCursor, to: number, seq: number): void {
  for (let next = seq; cursor.next <= to; next++) cursor.acknowledged(cursor.next, cursor.next + 9, 1_000, next);
}

describe('a hole', () => {
  it('is believed once until the processor has read what was sent again', () => {
    const cursor = cursorAt(101);
    send(cursor, 500, 1);
    // 51–100 were sent before the start; the rest lies in the stream and can't be applied.
    expect(cursor.hear(floor(50, 5, true), LANE, 0)).toBe('hole');
    expect(cursor.next).toBe(51);
    send(cursor, 500, 41);
    expect(cursor.hear(floor(50, 30, true), LANE, 5_000)).toBeUndefined();
    // It has read the first batches that came again, and what it heard earlier still lies ahead of its floor.
    expect(cursor.hear(floor(80, 43, true), LANE, 10_000)).toBeUndefined();
    expect(cursor.hear(floor(500, 85), LANE, 15_000)).toBeUndefined();
    expect(cursor.next).toBe(501);
  });

  it('is believed again when what was sent again is lost too', () => {
    const cursor = cursorAt(101);
    send(cursor, 500, 1);
    expect(cursor.hear(floor(50, 5, true), LANE, 0)).toBe('hole');
    send(cursor, 500, 41);
    expect(cursor.hear(floor(80, 44, true), LANE, 5_000)).toBe('hole');
    expect(cursor.next).toBe(81);
  });

  it('that no repeat fills makes sending go back ever more rarely', () => {
    const cursor = cursorAt(101);
    let seq = 1;
    let rewinds = 0;
    for (let now = 0; now < 86_400_000; now += 5_000) {
      const before = cursor.next;
      send(cursor, 200, seq);
      seq += (cursor.next - before) / 10;
      if (cursor.hear(floor(50, seq, true), LANE, now) !== undefined) rewinds += 1;
    }
    // Every five minutes at last: 288 a day.
    expect(rewinds).toBeLessThan(300);
    expect(rewinds).toBeGreaterThan(280);
    expect(cursor.fruitlessRewinds).toBeGreaterThan(3);
  });
});

describe('sending goes back', () => {
  it('when the processor has read the place of a batch and lacks it, and not a message earlier', () => {
    const cursor = cursorAt();
    send(cursor, 100, 11);
    expect(cursor.hear(floor(90, 19), LANE, 0)).toBeUndefined();
    expect(cursor.hear(floor(90, 20), LANE, 0)).toBe('not-applied');
    expect(cursor.next).toBe(91);
  });

  it('when the stream is made anew, to what is not committed', () => {
    const cursor = cursorAt();
    send(cursor, 100, 1);
    expect(cursor.hear(floor(40, 4), LANE, 0)).toBeUndefined();
    expect(cursor.hear(floor(40, 4, false, { created: 'y' }), LANE, 5_000)).toBe('stream-changed');
    expect(cursor.next).toBe(41);
  });

  it('when the processor had to begin the stream again', () => {
    const cursor = cursorAt();
    send(cursor, 100, 1);
    expect(cursor.hear(floor(40, 4), LANE, 0)).toBeUndefined();
    expect(cursor.hear(floor(40, 3), LANE, 5_000)).toBe('stream-changed');
  });

  it('at the next floor when the stream gives a sequence that lies behind the last one', () => {
    const cursor = cursorAt();
    send(cursor, 100, 101);
    // The stream has lost its end, or is another one; what lies where in it is not known any more.
    cursor.acknowledged(101, 110, 1_000, 6);
    expect(cursor.hear(floor(30, 5), LANE, 0)).toBeUndefined();
    expect(cursor.hear(floor(30, 6), LANE, 5_000)).toBe('not-applied');
    expect(cursor.next).toBe(31);
  });

  it('to the beginning for a processor in which nothing could begin, and once for one that knows another epoch', () => {
    const cursor = cursorAt(500);
    expect(cursor.hear(floor('none', 0, true), LANE, 0)).toBe('hole');
    expect(cursor.next).toBe(1);
    const other = cursorAt(500);
    expect(other.hear(floor('foreign', 0, true), LANE, 0)).toBe('unknown-epoch');
    expect(other.next).toBe(1);
    expect(other.hear(floor('foreign', 0, true), LANE, 1_000)).toBeUndefined();
    send(other, 990, 1);
    expect(other.hear(floor('foreign', 99, true), LANE, 2_000)).toBeUndefined();
  });

  it('not for every message of a second gateway of this name', () => {
    const cursor = cursorAt();
    let seq = 1;
    let rewinds = 0;
    for (let now = 0; now < 3_600_000; now += 5_000) {
      send(cursor, cursor.next + 9, seq);
      const lane = { beginning: 1, next: cursor.next };
      const own = now % 15_000 === 0;
      const heard = floor(own ? cursor.next - 1 : 'foreign', seq);
      if (cursor.hear(heard, lane, now) !== undefined) rewinds += 1;
      seq += 1;
    }
    expect(rewinds).toBeLessThan(3_600 / 10);
  });
});

describe('the limit of what is uncommitted', () => {
  it('holds sending below it, and not before something was acknowledged', () => {
    const cursor = cursorAt(101, 5_000);
    expect(cursor.uncommittedBytes).toBe(10_000);
    expect(cursor.isHeld).toBe(false);
    send(cursor, 110, 1);
    expect(cursor.isHeld).toBe(true);
    cursor.hear(floor(80, 1), LANE, 0);
    expect(cursor.next).toBe(81);
    expect(cursor.isHeld).toBe(false);
    send(cursor, 110, 2);
    expect(cursor.isHeld).toBe(false);
    send(cursor, 120, 5);
    expect(cursor.uncommittedBytes).toBe(4_000);
    expect(cursor.isHeld).toBe(false);
    send(cursor, 130, 6);
    expect(cursor.isHeld).toBe(true);
  });

  it('does not hold what a processor that knows another epoch must get first', () => {
    const cursor = cursorAt(1, 5_000);
    send(cursor, 50, 1);
    expect(cursor.isHeld).toBe(true);
    cursor.hear(floor('foreign', 5), LANE, 0);
    send(cursor, 100, 6);
    expect(cursor.isHeld).toBe(false);
    cursor.hear(floor(10, 6), LANE, 5_000);
    expect(cursor.isHeld).toBe(true);
  });
});

describe('trimming', () => {
  it('waits for the grace period after the floor passed, to the millisecond', () => {
    const cursor = cursorAt();
    send(cursor, 100, 1);
    expect(cursor.trimmable(1e9)).toBeUndefined();
    cursor.hear(floor(40, 4), LANE, 1_000);
    cursor.hear(floor(80, 8), LANE, 20_000);
    expect(cursor.trimmable(1_000 + GRACE_MS - 1)).toBeUndefined();
    expect(cursor.trimmable(1_000 + GRACE_MS)).toBe(40);
    expect(cursor.trimmable(20_000 + GRACE_MS - 1)).toBeUndefined();
    expect(cursor.trimmable(20_000 + GRACE_MS)).toBe(80);
  });

  it('forgets what the same processor takes back, such as after its disk was set back', () => {
    const cursor = cursorAt();
    send(cursor, 100, 1);
    cursor.hear(floor(80, 8), LANE, 0);
    cursor.hear(floor(30, 8), LANE, 60_000);
    expect(cursor.trimmable(GRACE_MS)).toBeUndefined();
    expect(cursor.trimmable(60_000 + GRACE_MS)).toBe(30);
  });

  it('forgets what a processor said that has lost its state since', () => {
    const cursor = cursorAt();
    send(cursor, 100, 1);
    cursor.hear(floor(80, 8), LANE, 0);
    cursor.hear(floor(20, 2, false, { series: 'b' }), LANE, 60_000);
    expect(cursor.trimmable(GRACE_MS)).toBeUndefined();
    expect(cursor.trimmable(60_000 + GRACE_MS)).toBe(20);
  });
});

it('a floor ahead of what was remembered over a restart spares repeats', () => {
  const cursor = cursorAt(101);
  expect(cursor.hear(floor(300, 99), LANE, 0)).toBeUndefined();
  expect([cursor.next, cursor.uncommittedBytes]).toEqual([301, 0]);
});

describe('another series of checkpoints', () => {
  it('is not held to what the one before called safe', () => {
    const cursor = cursorAt(101);
    send(cursor, 500, 1);
    expect(cursor.hear(floor(300, 20), LANE, 0)).toBeUndefined();
    // It knows no epoch of this gateway, so it needs all that there is.
    expect(cursor.hear(floor('foreign', 20, false, { series: 'b' }), LANE, 5_000)).toBe('unknown-epoch');
    expect([cursor.floor, cursor.next]).toEqual([undefined, 1]);
    expect(cursor.trimmable(GRACE_MS + 5_000)).toBeUndefined();
  });
});

describe('a floor that can not be true', () => {
  it('takes back what was to be deleted because of the one before', () => {
    const cursor = cursorAt(101);
    send(cursor, 500, 1);
    cursor.hear(floor(300, 20), LANE, 0);
    cursor.hear(floor(400, 30, false, { isDoubtful: true }), LANE, 5_000);
    expect(cursor.trimmable(2 * GRACE_MS)).toBeUndefined();
  });
});

describe('what is uncommitted', () => {
  it('is the part of a batch behind the floor, where the floor lies in it', () => {
    const cursor = cursorAt(1);
    send(cursor, 500, 1);
    cursor.hear(floor(305, 30), LANE, 0);
    expect(cursor.uncommittedBytes).toBe(195 * 100);
  });
});
