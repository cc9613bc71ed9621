import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { minutes, seconds } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../tests/support/index.ts';
import { openJournal } from '../src/backtest/read-journal.ts';
import type { EpisodeEvent } from '../src/sensor-engine.ts';
import { Core, coreConfig, type Event, readLane } from './support/core.ts';
import { LiveEngine, type LiveItem, liveItems, type Sender } from './support/live-items.ts';

const resources = resourcesPerTest();
const BEGIN = 1_700_000_000_000;
const OFF = { enabled: false };
const options = { engine: { zScore: { watch: 'never' as const }, adaptive: OFF, stuck: OFF, noise: OFF } };

/** The items of one life of the agent as events; what devices repeat, and values that are refused, are among them. */
function eventsOf(items: readonly LiveItem[], pick: (n: number) => number): Event[] {
  return items.flatMap((item): Event[] => {
    if (item.kind === 'start' || item.kind === 'arrival') return [];
    if (item.kind === 'tick') {
      const { now, sinceStartMs } = item.clock;
      return [{ tick: { now, sinceStartMs, quality: 'synchronised' } }];
    }
    const { device, metric, eventTime: ts, value } = item.reading;
    const message = {
      topic: `sensors/${device}/${metric}`,
      payload: Buffer.from(pick(10) === 0 ? 'nothing' : JSON.stringify({ value, ts })),
      receivedAt: item.receivedAt,
      retained: false,
    };
    return [{ messages: pick(10) === 0 ? [message, message] : [message] }];
  });
}

/** What the records of an episode say last, as far as it is the same whoever asks. */
const lastOf = (records: Iterable<EpisodeEvent>): unknown[] => {
  const last = new Map<string, unknown>();
  for (const { id, detector, device, metric, phase, severity, openedAt, eventTime, explanation } of records) {
    last.set(id, { id, detector, device, metric, phase, severity, openedAt, eventTime, explanation });
  }
  return [...last.values()];
};

/** The episodes that an agent has told, with all of its lives. */
async function told(dataDir: string): Promise<unknown[]> {
  const lane = await readLane(dataDir, 'anomaly');
  return lastOf(lane.flatMap(({ spooled: { record } }) => (record.kind === 'anomaly' ? [record] : [])));
}

/** … and those that an engine finds which knows nothing but the journal, as `backtest` does. */
async function foundInJournal(dataDir: string): Promise<unknown[]> {
  for (const name of ['snapshot', 'snapshot.previous']) await rm(path.join(dataDir, name), { force: true });
  const { engine: config, ...gateway } = coreConfig(dataDir, options);
  const engine = new LiveEngine(config, gateway);
  const journal = await openJournal(dataDir);
  for await (const item of journal.items({ readings: 0, skipped: 0 })) {
    if (item.kind === 'tick') {
      engine.take([{ kind: 'tick', clock: { ...item.tick, synchronised: true } }]);
    } else if (item.kind === 'reading') engine.take([{ ...item, ...item.arrival! }]);
    else engine.take([item]);
  }
  return lastOf(engine.episodes);
}

describe('an agent that is killed and comes back', () => {
  it('has judged silence as its journal does that is read again', { timeout: 120_000 }, async () => {
    const life = fc.record({ lifeS: fc.integer({ min: 60, max: 600 }), awayS: fc.integer({ min: 0, max: 300 }) });
    let episodes = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.nat(1_000)),
        fc.array(life, { minLength: 1, maxLength: 4 }),
        async (stream, lives) => {
          const pick = (n: number): number => Number(stream.next().value) % n;
          const dataDir = await livedThrough(lives, pick);
          const live = await told(dataDir);
          expect(await foundInJournal(dataDir)).toEqual(live);
          episodes += live.length;
        },
      ),
      { numRuns: 8 },
    );
    expect(episodes).toBeGreaterThan(8);
  });
});

/** An agent that is killed at the end of each life, and lives a quarter of an hour more. Returns its folder. */
async function livedThrough(
  lives: readonly { readonly lifeS: number; readonly awayS: number }[],
  pick: (n: number) => number,
): Promise<string> {
  const died = BEGIN + minutes(8);
  const senders: Sender[] = [
    { sensor: { device: 'press', metric: 'a' }, everyMs: 1_000 },
    { sensor: { device: 'press', metric: 'b' }, everyMs: 3_000, silent: [died, Infinity] },
    { sensor: { device: 'oven', metric: 'c' }, everyMs: 2_000, lagMs: minutes(2) },
    { sensor: { device: 'oven', metric: 'd' }, everyMs: 5_000, uploadMs: 30_000, silent: [died, died + minutes(4)] },
  ];
  let dataDir = await resources.directory();
  let begin = BEGIN;
  for (const { lifeS, awayS } of lives) {
    const core = await Core.start(coreConfig(dataDir, options), begin);
    const taking = core.take(eventsOf(liveItems(begin, seconds(lifeS), senders), pick));
    // What is not safe at this moment is gone.
    await wait(pick(30));
    dataDir = await core.copyOfFolder(resources);
    await core.abandon();
    await taking.catch(() => undefined);
    begin += seconds(lifeS + awayS);
  }
  const core = await Core.start(coreConfig(dataDir, options), begin);
  await core.take(eventsOf(liveItems(begin, minutes(15), senders), pick));
  await core.stop();
  return dataDir;
}
