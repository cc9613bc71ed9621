import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import type { Row } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { rowKey } from '../../src/write/row-key.ts';
import { Outbox } from '../../src/write/outbox.ts';
import { anomalyRow, gatewayRow, lateRow, windowRow } from './sample-rows.ts';

const opened = anomalyRow({ phase: 'opened' });
const updated = anomalyRow({ phase: 'updated' });
const closed = anomalyRow({ phase: 'closed' });

/** Takes and settles one request. */
const sent = (outbox: Outbox, max = 100): readonly Row[] => {
  const rows = outbox.take(max, 0);
  outbox.settle();
  return rows;
};

describe('outbox', () => {
  it('lets go of what it does not hold any more, although others are still there', async () => {
    const outbox = new Outbox();
    const put = (row: Row): WeakRef<Row> => {
      outbox.put(row);
      return new WeakRef(row);
    };
    outbox.put(lateRow());
    const [confirmed, older] = [put(windowRow()), put(anomalyRow({ phase: 'opened' }))];
    outbox.put(updated);
    sent(outbox);
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    // A reference that was just made holds until the turn is over.
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    expect(confirmed.deref()).toBeUndefined();
    expect(older.deref()).toBeUndefined();
    expect(outbox.size).toBe(2);
  });

  it('keeps waiting for a request that may land while it waits for another one', () => {
    const outbox = new Outbox();
    outbox.put(opened);
    outbox.take(10, 0);
    outbox.mayLandUntil(60, 0);
    outbox.settle();
    outbox.put(windowRow());
    outbox.take(10, 10);
    outbox.mayLandUntil(70, 10);
    outbox.settle();
    outbox.put(closed);
    outbox.saved(outbox.capture().ordinal);
    expect(outbox.take(10, 59)).toEqual([]);
    expect(outbox.take(10, 60)).toEqual([closed]);
  });

  it('sends first values at once, anomalies before windows', () => {
    const outbox = new Outbox();
    for (const row of [windowRow(), gatewayRow(), opened]) outbox.put(row);
    expect(sent(outbox)).toEqual([gatewayRow(), opened, windowRow()]);
    expect(outbox.size).toBe(0);
  });

  it.each([
    ['an update', updated],
    ['a close', closed],
    ['a corrected window', windowRow({ revision: 1 })],
    ['a count of late readings', lateRow()],
  ])('holds %s until the checkpoint that contains it is safe', (_what, row) => {
    const outbox = new Outbox();
    const before = outbox.capture();
    outbox.put(row);
    outbox.saved(before.ordinal);
    expect(outbox.take(10, 0)).toEqual([]);
    const containing = outbox.capture();
    expect(containing).toEqual({ ordinal: before.ordinal + 1, rows: [row] });
    expect(outbox.take(10, 0)).toEqual([]);
    outbox.saved(containing.ordinal);
    expect(sent(outbox)).toEqual([row]);
  });

  it('counts what the process before may have sent as landing, so that a stop soon after its end is not called clean', () => {
    const outbox = new Outbox({ ordinal: 3, rows: [], stored: { gateways: [], runsTo: 0 }, updatesFrom: 60_000 });
    expect(outbox.isLanding(59_999)).toBe(true);
    expect(outbox.isLanding(60_000)).toBe(false);
  });

  it('holds one value per key, the newest', () => {
    const outbox = new Outbox();
    for (const row of [opened, updated, closed]) outbox.put(row);
    expect(outbox.size).toBe(1);
    expect(outbox.take(10, 0)).toEqual([]);
    const { ordinal, rows } = outbox.capture();
    expect(rows).toEqual([closed]);
    outbox.saved(ordinal);
    expect(sent(outbox)).toEqual([closed]);
  });

  it('holds a newer value as long as an attempt to send an older one may still land', () => {
    const outbox = new Outbox();
    outbox.put(windowRow());
    outbox.take(10, 0);
    outbox.mayLandUntil(100, 0);
    const newer = windowRow({ revision: 1 });
    outbox.put(newer);
    outbox.settle();
    outbox.saved(outbox.capture().ordinal);
    expect(outbox.nextAt).toBe(100);
    expect(outbox.take(10, 99)).toEqual([]);
    expect(outbox.take(10, 100)).toEqual([newer]);
  });

  it('keeps a newer value that came while the older one was being sent', () => {
    const outbox = new Outbox();
    outbox.put(opened);
    expect(outbox.take(10, 0)).toEqual([opened]);
    outbox.put(closed);
    outbox.settle();
    const { ordinal, rows } = outbox.capture();
    expect(rows).toEqual([closed]);
    outbox.saved(ordinal);
    expect(sent(outbox)).toEqual([closed]);
  });

  it('what is being sent stays in the checkpoint until it is confirmed', () => {
    const outbox = new Outbox();
    outbox.put(opened);
    outbox.take(10, 0);
    expect(outbox.capture().rows).toEqual([opened]);
    outbox.settle();
    expect(outbox.capture().rows).toEqual([]);
  });

  it('takes no more than asked, in the order of coming', () => {
    const outbox = new Outbox();
    const rows = [0, 1, 2].map((i) => gatewayRow({ gateway: `gw-${i}` }));
    for (const row of rows) outbox.put(row);
    expect(sent(outbox, 2)).toEqual(rows.slice(0, 2));
    expect(sent(outbox, 2)).toEqual(rows.slice(2));
  });

  it('from a checkpoint sends everything at once, and counts its checkpoints on', () => {
    const outbox = new Outbox({
      ordinal: 7,
      rows: [closed, windowRow()],
      stored: { gateways: [], runsTo: 0 },
      updatesFrom: 0,
    });
    expect(sent(outbox)).toEqual([closed, windowRow()]);
    expect(outbox.capture().ordinal).toBe(8);
  });

  it('compares an episode of a gateway of which the store has neither windows nor reports, after a start without the newest checkpoint', () => {
    const outbox = new Outbox();
    outbox.compare({ gateways: [], runsTo: 1 });
    for (const row of [opened, windowRow()]) outbox.put(row);
    expect(outbox.unchecked).toEqual([opened]);
    expect(sent(outbox)).toEqual([windowRow()]);
  });

  it('wakes those who wait for a change', async () => {
    const outbox = new Outbox();
    const never = new AbortController();
    const waiting = [outbox.changed(never.signal), outbox.changed(never.signal)];
    outbox.put(opened);
    expect(await Promise.all(waiting)).toHaveLength(2);
    const stopped = outbox.changed(never.signal);
    never.abort();
    await expect(stopped).resolves.toBeUndefined();
  });

  it('keys are one to one with what a store replaces', () => {
    const rows: Row[] = [windowRow(), windowRow({ revision: 3 }), lateRow(), opened, closed, gatewayRow()];
    expect(new Set(rows.map(rowKey)).size).toBe(4);
  });
});
