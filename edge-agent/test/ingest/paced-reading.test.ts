import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { paceReading } from '../../src/ingest/paced-reading.ts';

/** Reads as aedes does: for more behind each of its packets, which are single bytes here, also in the middle of a piece. */
class EagerReader {
  readonly pieces: number[] = [];
  isHeld = false;
  timesHeld = 0;
  deepest = 0;
  #depth = 0;
  readonly socket: Duplex;

  constructor(pieceBytesMax: number) {
    this.socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    paceReading(
      this.socket,
      pieceBytesMax,
      () => this.isHeld,
      () => (this.timesHeld += 1),
    );
    this.socket.on('readable', () => this.#ask());
  }

  #ask(): void {
    const piece = this.socket.read() as Buffer | null;
    if (piece === null) return;
    this.pieces.push(piece.length);
    this.#depth += 1;
    this.deepest = Math.max(this.deepest, this.#depth);
    for (let packets = piece.length; packets > 0; packets--) this.#ask();
    this.#depth -= 1;
  }
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await nextTurn();
};

describe('paced reading', () => {
  it('never hands out a piece while the one before it is being read', async () => {
    const reader = new EagerReader(10);
    reader.socket.push(Buffer.alloc(35));
    await turns(10);
    expect(reader.pieces).toEqual([10, 10, 10, 5]);
    expect(reader.deepest).toBe(1);
    reader.socket.push(Buffer.alloc(3));
    await turns(3);
    expect(reader.pieces.at(-1)).toBe(3);
  });

  it('hands out nothing while it is held, and says so; the rest comes when it is asked again', async () => {
    const reader = new EagerReader(10);
    reader.isHeld = true;
    reader.socket.push(Buffer.alloc(15));
    await turns(5);
    expect([reader.pieces.length, reader.timesHeld > 0]).toEqual([0, true]);
    reader.isHeld = false;
    reader.socket.emit('readable');
    await turns(5);
    expect(reader.pieces).toEqual([10, 5]);
  });
});
