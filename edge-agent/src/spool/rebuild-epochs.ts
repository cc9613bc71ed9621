import type { SegmentLog } from '@floorwatch/segment-log';

import { decodeSpooled } from '../spooled-record.ts';
import { EpochTable } from './epoch-table.ts';

/**
 * Finds out from a lane's records where its epochs begin: each record says its number, and each start record its own epoch and the one
 * before it. Of epochs whose records are all gone, only those are found that one after them names; the oldest counts as the first ever.
 *
 * @returns undefined if the name of an epoch is not known.
 */
export async function rebuildEpochs(log: Pick<SegmentLog, 'read' | 'first'>): Promise<EpochTable | undefined> {
  /** By the position of their first item. */
  const names = new Map<number, string | undefined>();
  for await (const { first, items } of log.read(log.first)) {
    for (const [index, bytes] of items.entries()) {
      const { record, epoch } = decodeSpooled(bytes);
      const begin = first + index - record.number + 1;
      if (record.kind === 'start') {
        names.set(begin, epoch);
        if (record.predecessor !== null) names.set(begin - record.predecessor.last, record.predecessor.epoch);
      } else if (!names.has(begin)) {
        names.set(begin, undefined);
      }
    }
  }
  const entries = [...names].sort(([a], [b]) => a - b).map(([begin, epoch]) => ({ epoch, first: begin }));
  const known = entries.filter((entry): entry is { epoch: string; first: number } => entry.epoch !== undefined);
  return known.length < entries.length ? undefined : new EpochTable(known);
}
