import { durationMs, epochMs, type Row } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import type { ScannedTable, Store } from '../../src/write/store.ts';
import {
  anomalyRow,
  BASE,
  countedEpisodesRow,
  countedRow,
  DAY,
  gatewayRow,
  HOUR,
  MINUTE,
  PRESS,
  windowRow,
} from './sample-rows.ts';
import { byFirst, FAR, never, report, written } from './store-questions.ts';

/** What every store promises of all that one gateway told; a part of {@link describeStore}. */
export function describeGateways(opened: () => Promise<Store>): void {
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
        gateway: [gatewayRow(), gatewayRow({ at: epochMs(BASE + HOUR - 1) })],
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
        gatewayRow({ gateway: 'gw-2' }),
        gatewayRow({ at: epochMs(BASE + HOUR) }),
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

    it('says when the last window of every gateway ends, of whatever size it is', async () => {
      const store = await opened();
      expect(await store.windowEnds()).toEqual([]);
      const later = windowRow({ start: epochMs(BASE + 2 * HOUR - MINUTE) });
      const hour = windowRow({
        start: epochMs(BASE + HOUR),
        size: durationMs(HOUR),
        sensor: { ...PRESS, metric: 'm' },
      });
      const day = windowRow({ start: epochMs(BASE), size: durationMs(DAY) });
      await store.write([windowRow(), later, hour, windowRow({ sensor: elsewhere }), day], never);
      const ends = (await store.windowEnds()).toSorted((a, b) => (a.gateway < b.gateway ? -1 : 1));
      expect(ends).toEqual([
        { site: 'plant-1', gateway: 'gw-1', end: BASE + DAY },
        { site: 'plant-1', gateway: 'gw-2', end: BASE + MINUTE },
      ]);
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
}
