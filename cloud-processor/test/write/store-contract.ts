import { epochMs, type WindowRow } from '@floorwatch/contracts';
import { afterEach, describe, expect, it } from 'vitest';

import { type Store, StoreError } from '../../src/write/store.ts';
import {
  aggregate,
  anomalyRow,
  BASE,
  DAY,
  gatewayRow,
  HOUR,
  lateRow,
  liveRow,
  MINUTE,
  NO_MOVING,
  ODD_NUMBERS,
  windowRow,
} from './sample-rows.ts';
import { describeAnomalies } from './store-contract-anomalies.ts';
import { describeGateways } from './store-contract-gateways.ts';
import { describeWindows } from './store-contract-windows.ts';
import { allAnomalies, allWindows, anything, everything, FAR, never, written } from './store-questions.ts';

/** A store of its own with nothing in it. */
export interface FreshStore {
  /** Not yet connected. */
  readonly store: Store;
  /** Another store over the same data, as after a restart of the program; undefined if the data lives only as long as the store. */
  readonly again?: () => Store;
  /** Called once, after both are closed. */
  readonly remove?: () => Promise<void>;
}

export interface StoreContractOptions {
  /** Makes a fresh store that keeps rows for so many days (0: for ever). */
  readonly fresh: (retentionDays: number) => Promise<FreshStore>;
  /** Batches that each property tries; a store across a network affords fewer. */
  readonly runs?: number;
}

/** What every {@link Store} promises, checked on one implementation. */
export function describeStore(name: string, { fresh, runs = 50 }: StoreContractOptions): void {
  describe(`store contract: ${name}`, { timeout: 60_000 }, () => {
    const cleanUp: (() => Promise<void>)[] = [];

    async function open(retentionDays = 0): Promise<{ store: Store; reopen: (() => Promise<Store>) | undefined }> {
      const { store, again, remove } = await fresh(retentionDays);
      if (remove !== undefined) cleanUp.push(remove);
      cleanUp.push(() => store.close());
      await store.connect(never);
      const reopen = async (): Promise<Store> => {
        await store.close();
        const second = again!();
        cleanUp.push(() => second.close());
        await second.connect(never);
        return second;
      };
      return { store, reopen: again === undefined ? undefined : reopen };
    }

    const opened = async (retentionDays = 0): Promise<Store> => (await open(retentionDays)).store;

    afterEach(async () => {
      for (const step of cleanUp.splice(0).toReversed()) await step();
    });

    describe('writing', () => {
      it('gives every number of a window back bit for bit', async () => {
        const store = await opened();
        const rows = ODD_NUMBERS.map((number, i) =>
          windowRow({
            start: epochMs(BASE + i * MINUTE),
            aggregate: aggregate({ reference: number, mean: -number, m2: Math.abs(number), min: number, last: number }),
            moving: { ...NO_MOVING, ewMean: number },
          }),
        );
        await written(store, rows);
        expect((await allWindows(store)).items).toStrictEqual(rows);
      });

      it('replaces a window with the same key, also what the new one leaves out', async () => {
        const store = await opened();
        const { unit: _, ...without } = windowRow({ revision: 1, incomplete: true, moving: NO_MOVING });
        await written(store, [windowRow()]);
        await written(store, [without]);
        expect((await allWindows(store)).items).toStrictEqual([without]);
      });

      it('replaces an anomaly as its episode goes on', async () => {
        const store = await opened();
        const closed = anomalyRow({
          phase: 'closed',
          severity: 'critical',
          provenance: 'backlog',
          eventTime: epochMs(BASE + MINUTE),
          expected: { low: null, high: null },
          before: [],
          closeReason: 'recovered',
        });
        await written(store, [anomalyRow()]);
        await written(store, [closed]);
        expect((await allAnomalies(store)).items).toStrictEqual([closed]);
      });

      it('takes the same batch any number of times', async () => {
        const store = await opened();
        const batch = [
          windowRow(),
          anomalyRow(),
          gatewayRow(),
          lateRow(),
          liveRow(Math.floor(Date.now() / MINUTE) * MINUTE),
        ];
        for (let i = 0; i < 3; i++) await written(store, batch);
        expect((await allWindows(store)).items).toStrictEqual([windowRow()]);
        expect((await allAnomalies(store)).items).toStrictEqual([anomalyRow()]);
        expect(await store.gateways(BASE - DAY)).toStrictEqual([gatewayRow()]);
      });

      it('keeps the last of several rows with one key in one batch', async () => {
        const store = await opened();
        await written(store, [windowRow(), windowRow({ revision: 2 }), windowRow({ revision: 1 })]);
        expect((await allWindows(store)).items).toStrictEqual([windowRow({ revision: 1 })]);
      });

      it('takes an empty batch', async () => {
        const store = await opened();
        expect(await store.write([], never)).toEqual({ kind: 'written' });
      });

      it('keeps anomalies apart that differ in nothing but their id', async () => {
        const store = await opened();
        const rows = ['ffffffff', 'fff00000', '80000000', '00100000', '00000000'].map((id) =>
          anomalyRow({ id: id.padEnd(32, '0') }),
        );
        await written(store, rows);
        expect((await allAnomalies(store)).items.map((row) => row.id)).toEqual(
          rows.map((row) => row.id).toSorted((a, b) => (a < b ? 1 : -1)),
        );
      });

      it('loses nothing of batches that are written at the same time', async () => {
        const store = await opened();
        await Promise.all(
          Array.from({ length: 20 }, (_, i) => written(store, [windowRow({ start: epochMs(BASE + i * MINUTE) })])),
        );
        expect((await allWindows(store)).items).toHaveLength(20);
      });

      it('names what it will never accept and writes the rest', async () => {
        const store = await opened();
        const rows = Array.from({ length: 2_500 }, (_, i) => windowRow({ start: epochMs(BASE + i * MINUTE) }));
        rows[7] = windowRow({ start: epochMs(BASE + 7 * MINUTE), aggregate: aggregate({ m2: Number.NaN }) });
        rows[2_400] = windowRow({
          start: epochMs(BASE + 2_400 * MINUTE),
          moving: { ...NO_MOVING, ewSd: Number.POSITIVE_INFINITY },
        });
        const outcome = await store.write(rows, never);
        expect(outcome).toEqual({
          kind: 'partial',
          refused: [
            { index: 7, code: 'unfit', reason: expect.stringContaining('aggregate.m2 is NaN') as string },
            { index: 2_400, code: 'unfit', reason: expect.stringContaining('moving.ewSd is Infinity') as string },
          ],
        });
        expect((await allWindows(store)).items).toHaveLength(2_498);
      });

      it('refuses rows that are older than it keeps them, and takes them at the edge', async () => {
        const store = await opened(2);
        const now = Date.now();
        const at = (ago: number): WindowRow => windowRow({ start: epochMs(now - ago) });
        await store.write([at(0)], never);
        const outcome = await store.write([at(2 * DAY + HOUR), at(2 * DAY - HOUR), at(0), at(400 * DAY)], never);
        expect(outcome).toEqual({
          kind: 'partial',
          refused: [
            { index: 0, code: 'expired', reason: expect.stringContaining('older') as string },
            { index: 3, code: 'expired', reason: expect.stringContaining('older') as string },
          ],
        });
        expect((await allWindows(store)).items).toHaveLength(2);
      });

      it('stops for the reason of the signal', async () => {
        const store = await opened();
        const why = new Error('stopping');
        await expect(store.write([windowRow()], AbortSignal.abort(why))).rejects.toBe(why);
      });
    });

    describe('a page that was not given out', () => {
      it.each([
        '',
        'x',
        '!!',
        Buffer.from('[]').toString('base64url'),
        Buffer.from('["a","b"]').toString('base64url'),
        Buffer.from('[1e99,"a"]').toString('base64url'),
        Buffer.from('{"length":1,"0":1}').toString('base64url'),
      ])('is refused: %j', async (after) => {
        const store = await opened();
        await expect(store.windows({ ...everything, after })).rejects.toMatchObject({ code: 'refused' });
        await expect(store.anomalies({ ...anything, after })).rejects.toMatchObject({ code: 'refused' });
      });
    });

    describeWindows(opened, runs);
    describeAnomalies(opened, runs);
    describeGateways(opened);

    describe('an empty store', () => {
      it('answers every question with nothing', async () => {
        const store = await opened();
        expect(await allWindows(store)).toEqual({ items: [], next: null });
        expect(await allAnomalies(store)).toEqual({ items: [], next: null });
        expect(await store.newestWindows(-FAR, 10)).toEqual([]);
        expect(await store.gateways(-FAR)).toEqual([]);
      });
    });

    describe('opening and closing', () => {
      it('may be done twice, and nothing works when closed', async () => {
        const store = await opened();
        await store.connect(never);
        await store.close();
        await store.close();
        await expect(store.write([windowRow()], never)).rejects.toBeInstanceOf(StoreError);
        await expect(allWindows(store)).rejects.toBeInstanceOf(StoreError);
        await expect(allAnomalies(store)).rejects.toBeInstanceOf(StoreError);
        await store.connect(never);
        await written(store, [windowRow()]);
      });

      it('keeps what was written', async ({ skip }) => {
        const { store, reopen } = await open();
        skip(reopen === undefined, 'this store lives no longer than its program');
        await written(store, [windowRow(), anomalyRow(), gatewayRow()]);
        const second = await reopen!();
        expect((await allWindows(second)).items).toStrictEqual([windowRow()]);
        expect((await allAnomalies(second)).items).toStrictEqual([anomalyRow()]);
        expect(await second.gateways(BASE)).toStrictEqual([gatewayRow()]);
        await written(second, [windowRow({ revision: 1 })]);
        expect((await allWindows(second)).items).toStrictEqual([windowRow({ revision: 1 })]);
      });
    });
  });
}
