import { durationMs, epochMs, type SensorRef } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Store } from '../../src/write/store.ts';
import { aggregate, BASE, DAY, HOUR, MINUTE, ODD_NAMES, PRESS, windowRow, windowRows } from './sample-rows.ts';
import {
  allPages,
  allWindows,
  byFirst,
  chunkLengths,
  everything,
  FAR,
  lastByKey,
  never,
  windowOf,
  windowPages,
  windowStarts,
  written,
} from './store-questions.ts';

/** What every store promises of windows; a part of {@link describeStore}. */
export function describeWindows(opened: () => Promise<Store>, runs: number): void {
  describe('windows', () => {
    it('are found from the start up to, and without, the end of the range', async () => {
      const store = await opened();
      const starts = [-1, 0, 1, 59, 60, 61].map((minute) => BASE + minute * MINUTE);
      await written(
        store,
        starts.map((start) => windowRow({ start: epochMs(start) })),
      );
      const found = await windowStarts(store, BASE, BASE + 60 * MINUTE);
      expect(found).toEqual(starts.slice(1, 4));
    });

    it('come oldest first, page by page, without a gap or a repeat, whatever is missing between them', async () => {
      const store = await opened();
      const minutes = [0, 1, 2, 3, 4, 5, 6, 90, 91, 92, 4_000, 4_001, 4_002, 400_000, 400_001];
      const starts = minutes.map((minute) => BASE + minute * MINUTE);
      await written(
        store,
        starts.toReversed().map((start) => windowRow({ start: epochMs(start) })),
      );
      for (const limit of [1, 3, 7, 14, 15, 16]) {
        const pages = await windowPages(store, limit);
        expect(pages.flat()).toEqual(starts);
        expect(pages.map((page) => page.length)).toEqual(chunkLengths(starts.length, limit));
      }
    });

    it('of one sensor and size do not mix with those of others', async () => {
      const store = await opened();
      const rows = [
        windowRow(),
        windowRow({ size: durationMs(15 * MINUTE) }),
        ...(['site', 'gateway', 'device', 'metric'] as const).map((part) =>
          windowRow({ sensor: { ...PRESS, [part]: `${PRESS[part]} 2` } }),
        ),
      ];
      await written(store, rows);
      for (const row of rows) {
        const { items } = await store.windows({ ...everything, sensor: row.sensor, size: row.size });
        expect(items).toStrictEqual([row]);
      }
    });

    it('are found under every name that people use', async () => {
      const store = await opened();
      const rows = ODD_NAMES.flatMap((odd, i) =>
        (['site', 'gateway', 'device', 'metric'] as const).map((part) =>
          windowRow({ sensor: { ...PRESS, [part]: odd }, revision: i }),
        ),
      );
      await written(store, rows);
      for (const row of rows) {
        expect((await allWindows(store, row.sensor)).items).toStrictEqual([row]);
      }
      const newest = await store.newestWindows(BASE, 1_000);
      expect(newest.map((row) => JSON.stringify(row.sensor)).toSorted()).toEqual(
        rows.map((row) => JSON.stringify(row.sensor)).toSorted(),
      );
    });

    it('of any names and numbers come back as they were', { tags: ['long'] }, async () => {
      const store = await opened();
      await fc.assert(
        fc.asyncProperty(fc.array(windowRows, { minLength: 1, maxLength: 12 }), async (rows) => {
          await written(store, rows);
          for (const row of lastByKey(rows, (r) => `${JSON.stringify(r.sensor)} ${r.size} ${r.start}`)) {
            const { items } = await store.windows({
              sensor: row.sensor,
              size: row.size,
              from: row.start,
              to: epochMs(row.start + 1),
              limit: 2,
            });
            expect(items).toEqual([row]);
          }
        }),
        { numRuns: runs },
      );
    });

    it('are none for a range that is empty, reversed or where nothing is', async () => {
      const store = await opened();
      await written(store, [windowRow()]);
      for (const [from, to] of [
        [BASE, BASE],
        [BASE + 1, BASE],
        [FAR, -FAR],
        [BASE + 1, FAR],
        [-FAR, BASE],
      ] as const) {
        expect(await windowStarts(store, from, to)).toEqual([]);
      }
      expect(await windowStarts(store, -FAR, FAR)).toEqual([BASE]);
    });

    it('hold at least one and at most a page of items', async () => {
      const store = await opened();
      const rows = Array.from({ length: 5_002 }, (_, i) => windowRow({ start: epochMs(BASE + i * MINUTE) }));
      await written(store, rows);
      const asked = async (limit: number): Promise<number> =>
        (await store.windows({ ...everything, limit })).items.length;
      expect(await asked(0)).toBe(1);
      expect(await asked(1e9)).toBe(5_000);
    });
  });

  describe('windows of many sensors', () => {
    const others: readonly SensorRef[] = [
      { ...PRESS, device: 'press-02' },
      { ...PRESS, gateway: 'gw-2' },
      { ...PRESS, site: 'plant-2', metric: 'Ä"$\\' },
    ];
    const rows = [0, 1, 7 * 24 * 60].flatMap((minute) =>
      [PRESS, ...others].flatMap((sensor) =>
        [MINUTE, 15 * MINUTE].map((size) =>
          windowRow({ sensor, size: durationMs(size), start: epochMs(BASE + minute * MINUTE) }),
        ),
      ),
    );
    const span = { from: epochMs(BASE), to: epochMs(BASE + 8 * DAY) };

    it('come by start, sensor and size, each once, whatever the page', async () => {
      const store = await opened();
      await store.write(rows.toReversed(), never);
      for (const limit of [1, 2, 7, 8, 9, 24, 25]) {
        const pages = await allPages(limit, (after) =>
          store.windowsByTime({ ...span, limit, ...(after === undefined ? {} : { after }) }),
        );
        const found = pages.flat();
        expect(found.map(({ start }) => start)).toEqual(rows.map(({ start }) => start));
        expect(new Set(found.map((row) => JSON.stringify(row)))).toEqual(
          new Set(rows.map((row) => JSON.stringify(JSON.parse(JSON.stringify(row))))),
        );
        expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
      }
    });

    it('can be asked for by sensor, site, gateway, size and time', async () => {
      const store = await opened();
      await store.write(rows, never);
      const count = async (query: object): Promise<number> =>
        (await store.windowsByTime({ ...span, limit: 100, ...query })).items.length;
      expect(await count({})).toBe(24);
      expect(await count({ sensor: PRESS })).toBe(6);
      expect(await count({ sensor: others[2] })).toBe(6);
      expect(await count({ site: 'plant-1' })).toBe(18);
      expect(await count({ gateway: 'gw-2' })).toBe(6);
      expect(await count({ site: 'plant-2', gateway: 'gw-2' })).toBe(0);
      expect(await count({ size: durationMs(MINUTE) })).toBe(12);
      expect(await count({ to: epochMs(BASE + 1) })).toBe(8);
      expect(await count({ from: epochMs(BASE + 1) })).toBe(16);
      expect(await count({ from: epochMs(BASE + 8 * DAY), to: epochMs(BASE + 9 * DAY) })).toBe(0);
    });

    it('refuse a key that is none of theirs', async () => {
      const store = await opened();
      await expect(store.windowsByTime({ ...span, limit: 1, after: 'nonsense' })).rejects.toMatchObject({
        code: 'refused',
      });
    });
  });

  describe('the newest windows', () => {
    it('are one per sensor: of all sizes the one that starts last, the shorter of two', async () => {
      const store = await opened();
      const rows = [
        windowOf(MINUTE, BASE, 'a'),
        windowOf(MINUTE, BASE + 59 * MINUTE, 'a'),
        windowOf(HOUR, BASE, 'a'),
        windowOf(HOUR, BASE, 'b'),
        windowOf(MINUTE, BASE, 'b'),
        windowOf(HOUR, BASE + 100 * DAY, 'c'),
      ];
      await written(store, rows);
      const newest = await store.newestWindows(BASE, 100);
      const shown = newest
        .map((row): [string, number, number] => [row.sensor.device, row.size, row.start])
        .toSorted(byFirst);
      expect(shown).toEqual([
        ['a', MINUTE, BASE + 59 * MINUTE],
        ['b', MINUTE, BASE],
        ['c', HOUR, BASE + 100 * DAY],
      ]);
      expect(newest.find((row) => row.sensor.device === 'b')).toMatchObject({
        sensor: { ...PRESS, device: 'b' },
        unit: '°C',
        aggregate: aggregate(),
        moving: windowRow().moving,
      });
      expect(await store.newestWindows(BASE + 1, 100)).toHaveLength(2);
      expect(await store.newestWindows(BASE, 2)).toHaveLength(2);
      expect(await store.newestWindows(FAR, 100)).toEqual([]);
    });
  });
}
