import { epochMs, type SensorRef } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Store } from '../../src/write/store.ts';
import { anomalyRow, anomalyRows, BASE, MINUTE, PRESS } from './sample-rows.ts';
import { anomalyAt, anomalyPages, anything, chunkLengths, FAR, lastByKey, never, written } from './store-questions.ts';

/** What every store promises of anomalies; a part of {@link describeStore}. */
export function describeAnomalies(opened: () => Promise<Store>, runs: number): void {
  describe('anomalies', () => {
    it('can be asked for by site and gateway', async () => {
      const store = await opened();
      const second = { ...PRESS, gateway: 'gw-2' };
      await store.write([anomalyRow(), anomalyRow({ sensor: second, id: '2'.repeat(32) })], never);
      const ids = async (query: object) => (await store.anomalies({ ...anything, ...query })).items.map(({ id }) => id);
      expect(await ids({ gateway: 'gw-2' })).toEqual(['2'.repeat(32)]);
      expect(await ids({ site: 'plant-1' })).toHaveLength(2);
      expect(await ids({ site: 'plant-2' })).toEqual([]);
    });

    it('come latest first, page by page, also when several opened together', async () => {
      const store = await opened();
      const together = ['a', 'b', 'c', 'd', 'e'].map((id, i) =>
        anomalyAt(5, `${id}${'0'.repeat(31)}`, { sensor: { ...PRESS, device: `press-${4 - i}` } }),
      );
      const rows = [
        anomalyAt(-600_000, '5'),
        anomalyAt(-90_000, '4'),
        anomalyAt(0, '1'),
        anomalyAt(1, '2'),
        ...together,
        anomalyAt(7, '3'),
      ];
      await written(store, rows);
      const expected = rows.map((row) => row.id).toReversed();
      for (const limit of [1, 2, 3, rows.length - 1, rows.length, rows.length + 1]) {
        const pages = await anomalyPages(store, limit);
        expect(pages.flat()).toEqual(expected);
        expect(pages.map((page) => page.length)).toEqual(chunkLengths(rows.length, limit));
      }
    });

    it('are chosen by opening, sensor, severity and whether they are open', async () => {
      const store = await opened();
      const other: SensorRef = { ...PRESS, device: 'press-02' };
      const rows = [
        anomalyAt(0, '1', { phase: 'closed' }),
        anomalyAt(1, '2', { severity: 'critical' }),
        anomalyAt(2, '3', { phase: 'updated', sensor: other }),
        anomalyAt(3, '4', { phase: 'closed', severity: 'critical', sensor: other }),
      ];
      await written(store, rows);
      const ids = async (query: object): Promise<string[]> =>
        (await store.anomalies({ ...anything, ...query })).items.map((row) => row.id.slice(-1));
      expect(await ids({})).toEqual(['4', '3', '2', '1']);
      expect(await ids({ openOnly: true })).toEqual(['3', '2']);
      expect(await ids({ openOnly: false })).toEqual(['4', '3', '2', '1']);
      expect(await ids({ severity: 'critical' })).toEqual(['4', '2']);
      expect(await ids({ severity: 'critical', openOnly: true })).toEqual(['2']);
      expect(await ids({ sensor: other })).toEqual(['4', '3']);
      expect(await ids({ sensor: other, openOnly: true, severity: 'warning' })).toEqual(['3']);
      expect(await ids({ from: epochMs(BASE + MINUTE), to: epochMs(BASE + 3 * MINUTE) })).toEqual(['3', '2']);
      expect(await ids({ from: epochMs(BASE + 1), to: epochMs(BASE + MINUTE) })).toEqual([]);
      expect(await ids({ from: epochMs(FAR), to: epochMs(-FAR) })).toEqual([]);
    });

    it('are found page by page when few of many are wanted', async () => {
      const store = await opened();
      const rows = Array.from({ length: 300 }, (_, i) =>
        anomalyAt(i * 60, String(i), { phase: i % 100 === 0 ? 'opened' : 'closed' }),
      );
      await written(store, rows);
      const first = await store.anomalies({ ...anything, openOnly: true, limit: 2 });
      expect(first.items.map((row) => Number(row.id))).toEqual([200, 100]);
      const second = await store.anomalies({ ...anything, openOnly: true, limit: 2, after: first.next! });
      expect(second).toEqual({ items: [rows[0]], next: null });
    });

    it('of any names, texts and numbers come back as they were', { tags: ['long'] }, async () => {
      const store = await opened();
      await fc.assert(
        fc.asyncProperty(fc.array(anomalyRows, { minLength: 1, maxLength: 12 }), async (rows) => {
          await written(store, rows);
          for (const row of lastByKey(rows, (r) => r.id)) {
            const { items } = await store.anomalies({
              sensor: row.sensor,
              from: row.openedAt,
              to: epochMs(row.openedAt + 1),
              limit: 100,
            });
            expect(items.filter(({ id }) => id === row.id)).toEqual([row]);
          }
        }),
        { numRuns: runs },
      );
    });
  });
}
