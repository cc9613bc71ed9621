import { cp } from 'node:fs/promises';

import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { DeadLetters } from '../../src/dead-letters/dead-letters.ts';
import { windowRow } from '../write/sample-rows.ts';

const resources = resourcesPerTest();
const CAP = 16 * 1024 * 1024;
const AT = epochMs(1_700_000_000_000);

const fault = (streamSequence: number): Parameters<DeadLetters['addBatch']>[0] => ({
  at: AT,
  reason: 'not-json',
  message: 'it is no JSON',
  subject: 'ingest.v1.3.a.b.telemetry',
  streamSequence,
});

const idsOf = (letters: DeadLetters): string[] => letters.list(100).items.map(({ id }) => id);

describe('dead letters', () => {
  it('survive a restart with reason, place and original bytes', async () => {
    const dataDir = await resources.directory();
    const letters = await DeadLetters.open(dataDir, CAP);
    letters.addBatch(fault(7), Buffer.from([0, 255, 1]));
    await letters.addRows([{ row: windowRow(), reason: 'mean is NaN' }], AT);
    expect(letters.rejected).toEqual(new Map([['not-json', 1]]));
    await letters.close();
    const again = await DeadLetters.open(dataDir, CAP);
    const [row = '', batch = ''] = idsOf(again);
    expect(await again.get(batch)).toEqual({
      ...fault(7),
      kind: 'batch',
      id: batch,
      bytes: 3,
      data: Buffer.from([0, 255, 1]).toString('base64'),
    });
    expect(await again.get(row)).toMatchObject({ kind: 'row', row: windowRow(), message: 'mean is NaN' });
    await again.close();
  });

  it('are on the disk once flush has resolved, without a clean stop', async () => {
    const dataDir = await resources.directory();
    const letters = await DeadLetters.open(dataDir, CAP);
    letters.addBatch(fault(7), Buffer.from('x'));
    await letters.flush();
    // Another process could not open it now; what a killed one leaves is the same.
    const copy = await resources.directory();
    await cp(`${dataDir}/dead-letters`, `${copy}/dead-letters`, {
      recursive: true,
      filter: (file) => !file.endsWith('.lock'),
    });
    const again = await DeadLetters.open(copy, CAP);
    expect(again.open).toBe(1);
    await again.close();
    await letters.close();
  });

  it('come back from a replay once, and not at all when they were dropped', async () => {
    const dataDir = await resources.directory();
    const letters = await DeadLetters.open(dataDir, CAP);
    for (const sequence of [1, 2]) letters.addBatch(fault(sequence), Buffer.from('x'));
    const [, oldest = ''] = idsOf(letters);
    expect(await letters.settle(oldest, 'dropped', AT)).toBe(true);
    expect(await letters.settle(oldest, 'dropped', AT)).toBe(false);
    await letters.close();
    const again = await DeadLetters.open(dataDir, CAP);
    for (const sequence of [1, 2]) again.addBatch(fault(sequence), Buffer.from('x'));
    await again.flush();
    expect(again.open).toBe(1);
    // The same place in a stream that was made anew is another message.
    again.addBatch(fault(1), Buffer.from('y'));
    expect(again.open).toBe(2);
    await again.close();
  });

  it('keep the beginning of a message that is very large, and say so', async () => {
    const letters = await DeadLetters.open(await resources.directory(), CAP);
    letters.addBatch(fault(1), Buffer.alloc(5_000_000, 7));
    const letter = await letters.get(idsOf(letters)[0] ?? '');
    expect(letter).toMatchObject({ bytes: 5_000_000, data: Buffer.alloc(1024 * 1024, 7).toString('base64') });
    await letters.close();
  });

  it('make room for new ones at the cap, and count what went', async () => {
    const letters = await DeadLetters.open(await resources.directory(), CAP);
    for (let i = 1; i <= 40; i++) {
      letters.addBatch(fault(i), Buffer.alloc(600_000, i));
      await letters.flush();
    }
    expect(letters.bytes).toBeLessThanOrEqual(CAP);
    expect(letters.dropped).toBeGreaterThan(10);
    expect(letters.open).toBe(40 - letters.dropped);
    expect(await letters.get(idsOf(letters).at(-1) ?? '')).toMatchObject({ streamSequence: letters.dropped + 1 });
    await letters.close();
  });

  it('end when they were tried again, stay when they come back at once, and are new when they come back later', async () => {
    const letters = await DeadLetters.open(await resources.directory(), CAP);
    const refused = [{ row: windowRow(), reason: 'no' }];
    await letters.addRows(refused, AT);
    const [id = ''] = idsOf(letters);
    expect(await letters.retry(id, async () => letters.addRows(refused, AT), Date.now)).toBe(false);
    expect(idsOf(letters)).toEqual([id]);
    expect(await letters.retry(id, async () => {}, Date.now)).toBe(true);
    expect(idsOf(letters)).toEqual([]);
    await letters.addRows(refused, AT);
    expect(idsOf(letters)).toEqual([id]);
    expect(await letters.get(id)).toMatchObject({ row: windowRow() });
    await letters.close();
  });
});
