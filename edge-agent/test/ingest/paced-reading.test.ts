import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { paceReading, ReadingShare } from '../../src/ingest/paced-reading.ts';

/** Reads as aedes does: for more behind each of its packets, which are single bytes here, also in the middle of a piece. */
class EagerReader {
  readonly pieces: number[] = [];
  isHeld = false;
  timesHeld = 0;
  deepest = 0;
  #depth = 0;
  readonly socket: Duplex;

  constructor(share: ReadingShare) {
    this.socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    paceReading(
      this.socket,
      share,
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

const tens = (): ReadingShare => new ReadingShare({ pieceBytesMin: 2, pieceBytesMax: 10, turnBytes: 30 });

describe('paced reading', () => {
  it('never hands out a piece while the one before it is being read', async () => {
    const reader = new EagerReader(tens());
    reader.socket.push(Buffer.alloc(35));
    await turns(10);
    expect(reader.pieces).toEqual([10, 10, 10, 5]);
    expect(reader.deepest).toBe(1);
    reader.socket.push(Buffer.alloc(3));
    await turns(3);
    expect(reader.pieces.at(-1)).toBe(3);
  });

  it('hands out nothing while it is held, and says so; the rest comes when it is asked again', async () => {
    const reader = new EagerReader(tens());
    reader.isHeld = true;
    reader.socket.push(Buffer.alloc(15));
    await turns(5);
    expect([reader.pieces.length, reader.timesHeld > 0]).toEqual([0, true]);
    reader.isHeld = false;
    reader.socket.emit('readable');
    await turns(5);
    expect(reader.pieces).toEqual([10, 5]);
  });

  it('hands out less to each the more have something left, and all again when they have not', async () => {
    const share = tens();
    const readers = Array.from({ length: 6 }, () => new EagerReader(share));
    for (const reader of readers) reader.socket.push(Buffer.alloc(40));
    await turns(2);
    // The first ones did not know of the others yet.
    expect(readers.map(({ pieces }) => pieces[1])).toEqual([5, 5, 5, 5, 5, 5]);
    readers[0]?.socket.destroy();
    await turns(30);
    expect(readers.slice(1).map(({ pieces }) => pieces.reduce((sum, bytes) => sum + bytes, 0))).toEqual([
      40, 40, 40, 40, 40,
    ]);
    expect(share.pieceBytes).toBe(10);
  });

  it('hands out a little to each however many they are', () => {
    const share = tens();
    for (let i = 0; i < 100; i++) share.count(1);
    expect(share.pieceBytes).toBe(2);
  });
});
