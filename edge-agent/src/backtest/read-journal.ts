import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { type EpochMs, epochMs } from '@floorwatch/contracts';
import { findLockHolder, messageOf, StartError } from '@floorwatch/runtime';
import { readLog } from '@floorwatch/segment-log';

import { JournalItemError, readJournalItem } from '../journal/journal-item.ts';
import { SnapshotFile } from '../snapshot/snapshot-file.ts';
import type { SnapshotHeader } from '../snapshots.ts';
import type { BacktestInput, BacktestItem, RecordingCounts } from './backtest-input.ts';

const JOURNAL = 'journal';

/**
 * The journal in an agent's data folder, with the saved state that it follows on: the older of the two that are kept, behind which the
 * journal is whole. Changes nothing.
 *
 * @param folder the data folder (`storage.dataDir`) or a copy of it.
 * @throws StartError if an agent has it in use, or it is no data folder that this release can read.
 */
export async function openJournal(folder: string): Promise<BacktestInput> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw cannotRead(folder, error);
  });
  if (!names.includes(JOURNAL)) {
    throw new StartError(
      'usage',
      `${folder}: is no data folder of an agent: it holds no ${JOURNAL}; give what storage.dataDir names, or a recording`,
    );
  }
  const holder = await findLockHolder(folder).catch((error: unknown) => {
    throw cannotRead(folder, error);
  });
  if (holder !== undefined) {
    const who = holder.pid === undefined ? 'an agent' : `an agent (process ${holder.pid})`;
    throw new StartError('locked', `${folder}: is in use by ${who}; stop it first, or give a copy of the folder`);
  }
  const { snapshot } = await new SnapshotFile(folder).load('oldest-first').catch((error: unknown) => {
    throw cannotRead(folder, error);
  });
  const header = snapshot?.header as SnapshotHeader | undefined;
  const at = epochMs(header?.at ?? 0);
  return {
    state: snapshot === undefined ? undefined : { sections: snapshot.sections, at },
    hasClock: true,
    items: (counts) =>
      journalItems(folder, header === undefined ? undefined : { position: header.position, at }, counts),
  };
}

async function* journalItems(
  folder: string,
  state: { readonly position: number; readonly at: EpochMs } | undefined,
  counts: RecordingCounts,
): AsyncGenerator<BacktestItem> {
  let next = state === undefined ? undefined : state.position + 1;
  try {
    for await (const { first, items } of readLog(path.join(folder, JOURNAL), next ?? 1)) {
      counts.skipped += first - (next ?? first);
      next = first + items.length;
      for (const bytes of items) {
        const item = readJournalItem(bytes);
        if (item.kind === 'tick') yield { kind: 'tick', tick: item };
        else if (item.kind !== 'reading') yield item;
        else {
          counts.readings += 1;
          yield { kind: 'reading', reading: item.reading, arrival: item };
        }
      }
    }
  } catch (error) {
    if (error instanceof JournalItemError) {
      throw new StartError('usage', `${folder}: an item of the journal can't be read: ${error.message}`, {
        cause: error,
      });
    }
    throw cannotRead(folder, error);
  }
}

const cannotRead = (folder: string, error: unknown): StartError =>
  new StartError('usage', `${folder}: can't be read: ${messageOf(error)}`, { cause: error });
