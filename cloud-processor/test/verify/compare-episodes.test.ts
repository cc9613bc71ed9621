import { type AnomalyRow, type CountedEpisodesRow, epochMs, hashText, textHash } from '@floorwatch/contracts';
import { expect, it } from 'vitest';

import { EpisodeComparer } from '../../src/verify/compare-episodes.ts';
import type { GatewayCut } from '../../src/verify/cut.ts';
import type { Difference } from '@floorwatch/contracts/api';
import { GATEWAY } from '../support/floor.ts';
import { anomalyRow, BASE, countedEpisodesRow } from '../write/sample-rows.ts';

const HOUR = 3_600_000;
const FROM = Math.floor(BASE / HOUR) * HOUR;
const { id } = anomalyRow();
const NONE = hashText({ high: 0, low: 0 })!;
const ONE = hashText(textHash(id))!;

/** A gateway all of whose records were taken, and which has told of its episodes. */
const cut: GatewayCut = {
  ...GATEWAY,
  sources: {},
  windows: undefined,
  ledger: {
    ...GATEWAY,
    tick: { run: 1, number: 20 },
    counters: [['1-00000001', null]],
    episodes: { epoch: '1-00000001', number: 0 },
    lost: [],
  },
  evidence: undefined,
  alarms: [],
  through: Number.MAX_SAFE_INTEGER,
  late: [],
  lateReadings: 0,
  unsent: { windows: [], anomalies: [], counted: [], episodes: [], reportedAt: -Infinity },
};

/** Compares an hour in which the gateway says to have opened one episode, and closed as many. */
async function compared(closedTold: 0 | 1, stored: AnomalyRow): Promise<EpisodeComparer & { found: string[] }> {
  const told = countedEpisodesRow({
    hour: epochMs(FROM),
    opened: 1,
    openedHash: ONE,
    closed: closedTold,
    closedHash: closedTold === 0 ? NONE : ONE,
  });
  const found: string[] = [];
  const scan = async ({ table }: { table: string }, take: (row: never) => unknown): Promise<void> => {
    take((table === 'anomaly' ? stored : told) satisfies AnomalyRow | CountedEpisodesRow as never);
  };
  const comparer = new EpisodeComparer(cut, { scan } as never, ({ kind }: Difference) => found.push(kind));
  await comparer.compare(FROM, FROM + HOUR, new AbortController().signal);
  return Object.assign(comparer, { found });
}

it('an open episode is stored as opened, and not as closed', async () => {
  const { counts, found } = await compared(0, anomalyRow());
  expect([counts.opened, counts.closed, found]).toEqual([1, 0, []]);
  expect((await compared(1, anomalyRow())).found).toEqual(['closed']);
});

it('a closed episode is stored as opened and as closed', async () => {
  const closed = anomalyRow({ phase: 'closed', closeReason: 'recovered' });
  const { counts, found } = await compared(1, closed);
  expect([counts.opened, counts.closed, found]).toEqual([1, 1, []]);
  expect((await compared(0, closed)).found).toEqual(['closed']);
});

it('an episode counts in the hour in which it opened, whenever it was detected', async () => {
  const late = anomalyRow({ openedAt: epochMs(FROM + HOUR - 1), detectedAt: epochMs(FROM + HOUR + 5_000) });
  const { counts, found } = await compared(0, late);
  expect([counts.opened, found]).toEqual([1, []]);
});
