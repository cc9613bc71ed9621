import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { Acknowledgements } from '../../src/ingest/acknowledgements.ts';

/** A connection, and what happens in order: what is written to it at a time, and what the test notes. */
function connect(): { readonly connection: Writable; readonly events: string[] } {
  const events: string[] = [];
  const connection = new Writable({
    write(chunk: Buffer, _encoding, done) {
      events.push(chunk.toString('hex'));
      done();
    },
  });
  return { connection, events };
}

describe('acknowledgements of one connection', () => {
  it('leave together, in the order in which they were asked for, with the smallest and the largest identifier', async () => {
    const { connection, events } = connect();
    const acknowledgements = new Acknowledgements(connection);
    for (const identifier of [65_535, 1, 258]) acknowledgements.add(identifier);
    await nextTurn();
    expect(events).toEqual([['4002ffff', '40020001', '40020102'].join('')]);
    acknowledgements.add(3);
    await nextTurn();
    expect(events.slice(1)).toEqual(['40020003']);
  });

  it('leave behind what else is done in the turn', async () => {
    const { connection, events } = connect();
    const acknowledgements = new Acknowledgements(connection);
    const settle = async (): Promise<void> => {
      await Promise.resolve();
      acknowledgements.add(1);
    };
    const process = async (): Promise<void> => {
      for (let step = 0; step < 10; step++) await Promise.resolve();
      events.push('processed');
    };
    await Promise.all([settle(), process()]);
    await nextTurn();
    expect(events).toEqual(['processed', '40020001']);
  });

  it('are not written to a connection that has ended', async () => {
    const { connection, events } = connect();
    new Acknowledgements(connection).add(1);
    connection.destroy();
    await nextTurn();
    expect(events).toEqual([]);
  });

  it('are written at once when that is asked for, and not at all when they are forgotten', async () => {
    const { connection, events } = connect();
    const acknowledgements = new Acknowledgements(connection);
    acknowledgements.add(1);
    acknowledgements.write();
    expect(events).toEqual(['40020001']);
    acknowledgements.add(2);
    acknowledgements.forget();
    await nextTurn();
    expect(events).toHaveLength(1);
  });
});
