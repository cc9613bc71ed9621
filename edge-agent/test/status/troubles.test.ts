import { access } from 'node:fs/promises';
import { join } from 'node:path';

import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { repositoryRoot } from '../../../tests/support/index.ts';
import { DOOR_REASON_NAMES, DOOR_REASONS, DoorLog } from '../../src/ingest/door-log.ts';
import { limits } from '../../src/limits.ts';
import type { AgentView } from '../../src/status/agent-view.ts';
import { runbookPath } from '../../src/status/runbooks.ts';
import { findTroubles, type Trouble, troubleText } from '../../src/status/troubles.ts';
import { at, healthyView, laneOf } from './views.ts';

type Changes = Partial<AgentView>;

const MIB = 1024 * 1024;
const { journal, snapshot, quarantine, broker, nats, floorMessages } = healthyView();
const telemetry = (changes: Parameters<typeof laneOf>[0]): Changes => ({
  lanes: { anomaly: laneOf(), telemetry: laneOf(changes) },
});
const counts = { ...journal.counts, syncFailures: 2 };
const alarm = (kind: 'identity' | 'trimmed' | 'stuck'): Changes =>
  telemetry({ alarms: [{ kind, what: 'what was seen', since: epochMs(at - 7_200_000) }] });

/** Each kind of trouble, and the words that a person reads. */
const CASES: readonly (readonly [code: string, severity: string, changes: Changes, text: RegExp])[] = [
  [
    'broker',
    'critical',
    { broker: { ...broker, ready: false, lastError: 'gone' } },
    /127\.0\.0\.1:1883 cannot be used: gone/,
  ],
  [
    'refusing',
    'critical',
    { refusing: { log: 'journal', why: 'no space left', since: epochMs(at - 120_000) } },
    /no readings are taken.*for 2 min.*journal: no space left/,
  ],
  [
    'device-share',
    'critical',
    { sensors: 10_000, shareReached: { reason: 'device-share', who: 'oven', at: epochMs(at - 60_000) } },
    /device "oven" has its share of the places for sensors \(10000 of 20000 are taken\).*raise sensorsMax/,
  ],
  [
    'client-share',
    'critical',
    { shareReached: { reason: 'client-share', who: 'made\nup', at: epochMs(at) } },
    /client "made\\nup" has its share/,
  ],
  [
    'hour-share',
    'critical',
    { shareReached: { reason: 'hour-share', who: null, at: epochMs(at) } },
    /this hour has its/,
  ],
  ['sensors', 'critical', { sensors: 20_000 }, /20000 sensors.*raise sensorsMax/],
  [
    'sync-failed',
    'critical',
    { journal: { ...journal, counts } },
    /failed 2 times to keep what was written to the journal/,
  ],
  ['sync-failed', 'critical', telemetry({ counts }), /spool lane telemetry; replace the disk/],
  ['damaged', 'critical', { journal: { ...journal, damaged: 7 } }, /journal is damaged: 7 accepted items/],
  ['damaged', 'critical', telemetry({ recordsDamaged: 7 }), /lane telemetry is damaged: 7 records/],
  ['journal-full', 'warning', { journal: { ...journal, bytes: 60 * MIB } }, /nearly full: 60 MiB of 64 MiB/],
  ['lane-full', 'warning', telemetry({ bytes: 60 * MIB }), /lane telemetry is nearly full: 60 MiB of 64 MiB/],
  ['lane-full', 'critical', telemetry({ bytes: 64 * MIB }), /lane telemetry is full/],
  ['lane-unreadable', 'critical', telemetry({ fault: 'EIO' }), /lane telemetry can't be sent: EIO/],
  ['dropped', 'critical', telemetry({ recordsDropped: 31 }), /dropped 31 records/],
  ['identity', 'critical', alarm('identity'), /what was seen \(lane telemetry, for 2 h\).*another machine/],
  [
    'floor-messages',
    'warning',
    { floorMessages: { ...floorMessages, malformed: 3, lastMalformed: 'it is for Leipzig/hall-9' } },
    /3 floor messages for this gateway could not be used since the start: it is for Leipzig\/hall-9; find out who publishes/,
  ],
  ['trimmed', 'critical', alarm('trimmed'), /the cloud lost what it had/],
  ['stuck', 'critical', alarm('stuck'), /what the processor says/],
  [
    'nats-unreachable',
    'warning',
    { nats: { ...nats, connected: false, since: epochMs(at - 600_000), lastError: 'refused' } },
    /^NATS cannot be reached \(for 10 min\): refused; see whether nats:\/\/127\.0\.0\.1:4222 runs/,
  ],
  ['nats-refuses', 'warning', { nats: { ...nats, lastError: 'no right' } }, /NATS does not take data: no right/],
  [
    'processor-silent',
    'warning',
    telemetry({ uncommittedBytes: 5, floor: null }),
    /no cloud processor has said for .* how far it has come/,
  ],
  ['uncommitted', 'warning', telemetry({ uncommittedBytes: 64 * MIB }), /lane telemetry waits: 64 MiB are sent/],
  [
    'not-committed',
    'warning',
    telemetry({
      uncommittedBytes: 5,
      stalledSince: epochMs(at - 180_000),
      floor: { epoch: null, floor: 0, highest: 0, heardAt: at },
    }),
    /NATS has what spool lane telemetry sent.*for 3 min.*the stream, which may be smaller than a batch/,
  ],
  ['clock', 'warning', { clock: 'unsynchronised' }, /not synchronised; set up a time service/],
  ['snapshot', 'warning', { snapshot: { ...snapshot, failures: 3, lastError: 'disk full' } }, /3 times.*disk full/],
  [
    'quarantine-full',
    'critical',
    { quarantine: { ...quarantine, dropped: 2 } },
    /quarantine is full, and has let go of 2 readings/,
  ],
  ['quarantine', 'warning', { quarantine: { ...quarantine, items: 4 } }, /^4 readings in the quarantine/],
];

describe('troubles', () => {
  it.each(DOOR_REASON_NAMES)(
    'what is refused at the door for %s is told once, with who and what to do',
    async (reason) => {
      const { timesMin, severity, remedy } = DOOR_REASONS[reason];
      const clock = { now: at - 60_000 };
      const log = new DoorLog(() => clock.now);
      const seen = (): Trouble[] => findTroubles(healthyView({ broker: { ...broker, door: log.view() } }));
      for (let i = 1; i < timesMin; i++) log.note(reason, 'client x');
      expect(seen()).toEqual([]);
      log.note(reason, 'client x');
      log.note(reason, 'client y');
      const troubles = seen();
      expect(troubles).toMatchObject([{ code: `door-${reason}`, severity, runbook: 'broker', remedy }]);
      expect(troubles[0]?.what).toMatch(timesMin === 1 ? /client [xy], 1 time/ : `client x, ${timesMin} times in 1 s`);
      clock.now += limits.doorQuietMs;
      expect(seen()).toEqual([]);
    },
  );

  it('there are none of an agent that is well', () => {
    expect(findTroubles(healthyView())).toEqual([]);
  });

  it.each(CASES)('%s (%s) is told in words', async (code, severity, changes, text) => {
    const silent = code === 'processor-silent' ? quietSince(changes) : changes;
    const troubles = findTroubles(healthyView(silent));
    expect(troubles).toMatchObject([{ code, severity }]);
    const [trouble] = troubles;
    if (trouble === undefined) return;
    expect(troubleText(trouble)).toMatch(text);
    await access(join(repositoryRoot, runbookPath(trouble.runbook)));
  });

  it('an agent that is still reading its journal says so, and not that nothing works', () => {
    const replay = { state: 'running', items: 20, itemsTotal: 500, durationMs: 40 } as const;
    const view = healthyView({
      journal: { ...journal, replay },
      broker: { ...broker, ready: false },
      nats: { ...nats, connected: false },
    });
    expect(findTroubles(view)).toMatchObject([{ code: 'replaying', what: expect.stringMatching(/20 of 500 items/) }]);
  });

  it('what is critical comes first', () => {
    const troubles = findTroubles(
      healthyView({ clock: 'unsynchronised', sensors: 20_000, nats: { ...nats, connected: false } }),
    );
    expect(troubles.map(({ code }) => code)).toEqual(['sensors', 'nats-unreachable', 'clock']);
  });

  it.each([
    [limits.floorSilentMsMax, []],
    [limits.floorSilentMsMax + 1, ['processor-silent']],
  ])('a processor that was heard %i ms ago: %j', (ago, codes) => {
    const floor = { epoch: null, floor: 0, highest: 0, heardAt: epochMs(at - ago) };
    const lane = laneOf({ uncommittedBytes: 5, floor });
    const view = healthyView({ lanes: { anomaly: lane, telemetry: lane } });
    expect(findTroubles(view).map(({ code }) => code)).toEqual(codes);
  });

  it('nothing is expected of the processor while nothing is on its way', () => {
    const lane = laneOf({ floor: null });
    expect(findTroubles(healthyView({ lanes: { anomaly: lane, telemetry: lane } }))).toEqual([]);
  });
});

/** The same, where neither lane has heard a processor. */
function quietSince(changes: Changes): Changes {
  const lanes = changes.lanes ?? healthyView().lanes;
  return { lanes: { ...lanes, anomaly: laneOf({ floor: null }) } };
}
