import { durationMs, epochMs, type Page, type Row, type SensorRef, type WindowRow } from '@floorwatch/contracts';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';

import { type ScannedTable, type Store, StoreError } from '../../src/write/store.ts';
import {
  aggregate,
  anomalyRow,
  anomalyRows,
  BASE,
  countedEpisodesRow,
  countedRow,
  DAY,
  gatewayRow,
  HOUR,
  lateRow,
  liveRow,
  MINUTE,
  NO_MOVING,
  ODD_NAMES,
  ODD_NUMBERS,
  PRESS,
  windowRow,
  windowRows,
} from './sample-rows.ts';

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

const FAR = 8_640_000_000_000_000;
const never = new AbortController().signal;

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

      it('of any names and numbers come back as they were', async () => {
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

    describe('anomalies', () => {
      it('can be asked for by site and gateway', async () => {
        const store = await opened();
        const second = { ...PRESS, gateway: 'gw-2' };
        await store.write([anomalyRow(), anomalyRow({ sensor: second, id: '2'.repeat(32) })], never);
        const ids = async (query: object) =>
          (await store.anomalies({ ...anything, ...query })).items.map(({ id }) => id);
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

      it('of any names, texts and numbers come back as they were', async () => {
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

    describe('gateways', () => {
      it('are each shown by their newest report since then', async () => {
        const store = await opened();
        await written(store, [report('a', BASE), report('a\\', BASE), report('a', BASE + 1), report('b', BASE - 1)]);
        const since = async (at: number): Promise<[string, number][]> =>
          (await store.gateways(at)).map((row): [string, number] => [row.gateway, row.at]).toSorted(byFirst);
        expect(await since(BASE)).toEqual([
          ['a', BASE + 1],
          ['a\\', BASE],
        ]);
        expect(await since(BASE - 1)).toHaveLength(3);
        expect(await since(BASE + 2)).toEqual([]);
      });
    });

    describe('all rows of one gateway', () => {
      const scanned = async (store: Store, table: ScannedTable, from: number, to: number): Promise<Row[]> => {
        const found: Row[] = [];
        const query = { table, site: 'plant-1', gateway: 'gw-1', from: epochMs(from), to: epochMs(to) };
        await store.scan(query, (row) => void found.push(row), never);
        return found;
      };
      const elsewhere = { ...PRESS, gateway: 'gw-2' };
      const byText = (rows: readonly Row[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

      it('of every table that can be asked for, from the start up to, and without, the end', async () => {
        const store = await opened();
        const at = (start: number) => ({ start: epochMs(start) });
        const rows: Record<ScannedTable, Row[]> = {
          window: [windowRow(), windowRow({ size: durationMs(HOUR) }), windowRow(at(BASE + HOUR - 1))],
          anomaly: [anomalyRow(), anomalyRow({ id: 'f'.repeat(32), openedAt: epochMs(BASE + HOUR - 1) })],
          counted: [countedRow(), countedRow({ since: 7 }), countedRow({ counter: '2-00000002' })],
          counted_episodes: [countedEpisodesRow(), countedEpisodesRow({ since: 7 })],
        };
        const others: Row[] = [
          windowRow(at(BASE - 1)),
          windowRow(at(BASE + HOUR)),
          windowRow({ sensor: elsewhere }),
          anomalyRow({ id: '1'.repeat(32), openedAt: epochMs(BASE + HOUR) }),
          anomalyRow({ id: '2'.repeat(32), sensor: { ...PRESS, site: 'plant-2' } }),
          countedRow({ sensor: elsewhere }),
          countedRow({ hour: epochMs(BASE + HOUR) }),
          countedEpisodesRow({ gateway: 'gw-2' }),
        ];
        await store.write([...Object.values(rows).flat(), ...others], never);
        for (const table of Object.keys(rows) as ScannedTable[]) {
          expect(byText(await scanned(store, table, BASE, BASE + HOUR))).toEqual(byText(rows[table]));
          expect(await scanned(store, table, BASE, BASE)).toEqual([]);
          expect(await scanned(store, table, -FAR, BASE - 1)).toEqual([]);
        }
      });

      it('replaces what a gateway told of an hour by what it tells later', async () => {
        const store = await opened();
        await store.write([countedRow(), countedRow({ since: 7, n: 1 })], never);
        await store.write([countedRow({ n: 3_601, hash: 'ffffffffffffffff' })], never);
        const found = await scanned(store, 'counted', BASE, BASE + 1);
        const expected = [countedRow({ n: 3_601, hash: 'ffffffffffffffff' }), countedRow({ since: 7, n: 1 })];
        expect(byText(found)).toEqual(byText(expected));
      });

      it('of more than fits into one answer', async () => {
        const store = await opened();
        const rows = Array.from({ length: 5_000 }, (_, i) => windowRow({ start: epochMs(BASE + i * 10_000) }));
        await store.write(rows, never);
        expect(byText(await scanned(store, 'window', BASE, BASE + DAY))).toEqual(byText(rows));
      });

      it('stops for the reason of the signal', async () => {
        const store = await opened();
        await store.write([windowRow()], never);
        const query = {
          table: 'window' as const,
          site: 'plant-1',
          gateway: 'gw-1',
          from: epochMs(0),
          to: epochMs(FAR),
        };
        const reason = new Error('enough');
        await expect(store.scan(query, () => undefined, AbortSignal.abort(reason))).rejects.toBe(reason);
      });
    });

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

const everything = {
  sensor: PRESS,
  size: durationMs(MINUTE),
  from: epochMs(-FAR),
  to: epochMs(FAR),
  limit: 5_000,
} as const;

const anything = { from: epochMs(-FAR), to: epochMs(FAR), limit: 5_000 } as const;

const allWindows = (store: Store, sensor: SensorRef = PRESS): Promise<Page<WindowRow>> =>
  store.windows({ ...everything, sensor });

const allAnomalies = (store: Store) => store.anomalies(anything);

async function windowStarts(store: Store, from: number, to: number): Promise<number[]> {
  const { items } = await store.windows({ ...everything, from: epochMs(from), to: epochMs(to) });
  return items.map((row) => row.start);
}

async function allPages<T>(limit: number, ask: (after: string | undefined) => Promise<Page<T>>): Promise<T[][]> {
  const found: T[][] = [];
  let after: string | undefined;
  do {
    const page = await ask(after);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    found.push([...page.items]);
    after = page.next ?? undefined;
  } while (after !== undefined && found.length < 100);
  return found;
}

async function windowPages(store: Store, limit: number): Promise<number[][]> {
  const found = await allPages(limit, (after) =>
    store.windows({ ...everything, limit, ...(after === undefined ? {} : { after }) }),
  );
  return found.map((page) => page.map((row) => row.start));
}

async function anomalyPages(store: Store, limit: number): Promise<string[][]> {
  const found = await allPages(limit, (after) =>
    store.anomalies({ ...anything, limit, ...(after === undefined ? {} : { after }) }),
  );
  return found.map((page) => page.map((row) => row.id));
}

/** 7 in threes: [3, 3, 1]. */
function chunkLengths(total: number, size: number): number[] {
  const full = Math.floor(total / size);
  return [...Array<number>(full).fill(size), ...(total % size === 0 ? [] : [total % size])];
}

const lastByKey = <T>(rows: readonly T[], key: (row: T) => string): T[] => [
  ...new Map(rows.map((row) => [key(row), row])).values(),
];

const byFirst = (a: readonly [string, ...unknown[]], b: readonly [string, ...unknown[]]): number =>
  a[0] < b[0] ? -1 : 1;

/** Writes rows that must all be accepted. */
async function written(store: Store, rows: readonly Row[]): Promise<void> {
  expect(await store.write(rows, never)).toEqual({ kind: 'written' });
}

const anomalyAt = (minute: number, id: string, more: Partial<ReturnType<typeof anomalyRow>> = {}) =>
  anomalyRow({ openedAt: epochMs(BASE + minute * MINUTE), id: id.padStart(32, '0'), ...more });

const windowOf = (ms: number, start: number, device: string): WindowRow =>
  windowRow({ size: durationMs(ms), start: epochMs(start), sensor: { ...PRESS, device } });

const report = (gateway: string, at: number): Row => gatewayRow({ gateway, at: epochMs(at) });
