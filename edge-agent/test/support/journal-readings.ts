import type { Reading } from '@floorwatch/contracts';
import { readLog } from '@floorwatch/segment-log';

import { readJournalItem } from '../../src/journal/journal-item.ts';

/** The readings in a journal that no program has open, in order. */
export async function* readingsOfJournal(directory: string): AsyncGenerator<Reading> {
  for await (const { items } of readLog(directory, 1)) {
    for (const bytes of items) {
      const item = readJournalItem(bytes);
      if (item.kind === 'reading') yield item.reading;
    }
  }
}
