import { epochMs, type Reading } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { detectOffline } from '../src/detect-offline.ts';
import { engineConfigSchema } from '../src/sensor-engine-config.ts';
import type { EpisodeEvent } from '../src/sensor-engine.ts';
import { LiveEngine } from './support/live-items.ts';

const START = 1_700_000_000_000;
const OFF = { enabled: false };
const config = engineConfigSchema.parse({ stuck: OFF, noise: OFF, silent: OFF });

/** A number that looks like noise, from −1 to 1, and is the same for the same index. */
const noise = (index: number): number => {
  const x = Math.sin(index * 12.9898) * 43_758.5453;
  return 2 * (x - Math.floor(x)) - 1;
};

interface Shift {
  readonly from: number;
  readonly to: number;
  readonly by: number;
}

/** Readings of a process around 20, in steps of `everyMs`, with what is added to it meanwhile. */
const series = (length: number, everyMs: number, shifts: readonly Shift[], spread = 0.3): Reading[] =>
  Array.from({ length }, (_, index) => ({
    device: 'press-3',
    metric: 'pressure',
    eventTime: epochMs(START + index * everyMs),
    value:
      20 +
      spread * noise(index) +
      shifts.reduce((sum, { from, to, by }) => sum + (index >= from && index < to ? by : 0), 0),
    quality: 'good' as const,
  }));

interface Episode {
  readonly from: number;
  readonly to: number;
  readonly last: EpisodeEvent;
}

/** Episodes by the indices of the readings that opened and closed them. */
function episodes(readings: readonly Reading[]): Episode[] {
  const last = new Map<string, EpisodeEvent>();
  for (const event of detectOffline(config, { site: 'plant', gateway: 'hall-1' }, readings)) last.set(event.id, event);
  const everyMs = readings[1]!.eventTime - readings[0]!.eventTime;
  const indexOf = (at: number): number => Math.round((at - START) / everyMs);
  return [...last.values()].map((event) => ({
    from: indexOf(event.openedAt),
    to: indexOf(event.eventTime),
    last: event,
  }));
}

describe('a shift of the level', () => {
  it.each([
    ['40 s in the first minutes, 2.4 times too high', 1_000, 200, 40, 28, 700],
    ['the same downwards', 1_000, 200, 40, -15, 700],
    ['so soon that there is hardly a history', 1_000, 60, 40, 28, 700],
    ['ten minutes long in the first ones', 1_000, 450, 400, 28, 2_500],
    ['behind a full history', 1_000, 2_000, 600, 8, 5_000],
    ['across the end of the cold start', 1_000, 480, 60, 28, 1_500],
    ['at ten seconds', 10_000, 300, 50, 10, 1_000],
    ['at a minute', 60_000, 900, 120, 10, 2_400],
    ['small against the noise', 1_000, 300, 60, 3, 1_000],
  ])(
    '%s is one episode for at least nine tenths of it, and the way back is none',
    (_, everyMs, from, length, by, end) => {
      const found = episodes(series(end, everyMs, [{ from, to: from + length, by }])).filter(({ to }) => to >= from);
      expect(found.map(({ last }) => [last.phase, last.closeReason])).toEqual([['closed', 'recovered']]);
      const [episode] = found;
      expect(episode!.from - from).toBeLessThanOrEqual(length / 10);
      expect(episode!.to).toBeGreaterThanOrEqual(from + length);
      expect(episode!.to).toBeLessThan(from + length + 15);
    },
  );

  it('that a rule calls too fast is so once, and not on the way back', () => {
    const rate = { rules: [{ metric: 'pressure', perSecondMax: 2 }] };
    const limited = engineConfigSchema.parse({ stuck: OFF, noise: OFF, silent: OFF, rate });
    const readings = series(700, 1_000, [{ from: 200, to: 240, by: 28 }]);
    const opened = detectOffline(limited, { site: 'plant', gateway: 'hall-1' }, readings).filter(
      ({ phase, detector }) => phase === 'opened' && detector === 'rate',
    );
    expect(opened.map(({ openedAt }) => (openedAt - START) / 1_000)).toEqual([200]);
  });

  it('that returns is found again', () => {
    // All while the z-score watches: what the adaptive detector has seen once it knows.
    const shifts = [150, 300, 430].map((from) => ({ from, to: from + 40, by: 28 }));
    const found = episodes(series(900, 1_000, shifts));
    for (const { from, to } of shifts) {
      expect(found.some((episode) => episode.from <= from + 2 && episode.to >= to)).toBe(true);
    }
  });

  it('that grows is one episode', () => {
    const found = episodes(
      series(900, 1_000, [
        { from: 200, to: 500, by: 10 },
        { from: 300, to: 500, by: 10 },
        { from: 400, to: 500, by: 20 },
      ]),
    );
    expect(found.map(({ from, last }) => [from, last.closeReason])).toEqual([[200, 'recovered']]);
    expect(found[0]!.to).toBeGreaterThanOrEqual(500);
  });
});

describe('a level that stays', () => {
  it('is adopted as normal when it has lasted as long as the sensor was known, at least ten minutes, which the episode says', () => {
    const found = episodes(series(4_000, 1_000, [{ from: 1_200, to: Infinity, by: 28 }]));
    expect(found).toHaveLength(1);
    const [{ from, to, last }] = found as [Episode];
    expect(last).toMatchObject({
      closeReason: 'adopted',
      explanation: 'pressure of press-3 has stayed where it was; adopted as normal after 20 min.',
    });
    expect([from, to]).toEqual([1_200, 2_400]);
  });

  it.each([
    ['ten minutes at least', 1_000, 100, 600],
    ['eight hours at most', 60_000, 1_440, 480],
  ])('is adopted after %s', (_, everyMs, from, after) => {
    const [episode, ...more] = episodes(series(from + 2 * after + 100, everyMs, [{ from, to: Infinity, by: 28 }]));
    expect(more).toEqual([]);
    expect([episode!.last.closeReason, episode!.to - episode!.from]).toEqual(['adopted', after]);
  });

  it('that was adopted is normal, and leaving it is a fault', () => {
    const found = episodes(series(5_000, 1_000, [{ from: 600, to: 3_600, by: 28 }]));
    expect(found.map(({ last }) => last.closeReason)).toEqual([
      'adopted',
      expect.stringMatching(/adopted|recovered|shutdown/),
    ]);
    expect(found[1]!.from).toBe(3_600);
  });
});

describe('a value after a gap', () => {
  const live = (awayS: number, by: number, from = 0): EpisodeEvent[] => {
    const engine = new LiveEngine(engineConfigSchema.parse({ stuck: OFF, noise: OFF }));
    const life = (begin: number, seconds: number, level: (second: number) => number): void => {
      engine.take([{ kind: 'start', at: epochMs(begin) }]);
      for (let second = 0; second < seconds; second++) {
        const at = epochMs(begin + second * 1_000);
        if (second % 5 === 0)
          engine.take([{ kind: 'tick', clock: { now: at, synchronised: true, sinceStartMs: second * 1_000 } }]);
        const value = level(second) + 0.3 * noise(second);
        const reading = { device: 'press-3', metric: 'level', eventTime: at, value, quality: 'good' } as const;
        engine.take([{ kind: 'reading', reading, receivedAt: at }]);
      }
    };
    life(START, 300, () => 20);
    life(START + (300 + awayS) * 1_000, 150, (second) => 20 + (second >= from ? by : 0));
    return engine.final();
  };

  it('that is another one than before the agent was away is no fault', () => {
    for (const awayS of [60, 600, 36_000]) for (const by of [2, 10, -15]) expect(live(awayS, by)).toEqual([]);
  });

  it('is judged again after as many readings as the absence would have had, thirty at most', () => {
    for (const [awayS, from] of [
      [5, 10],
      [600, 31],
    ] as const) {
      expect(live(awayS, 10, from).map(({ openedAt }) => (openedAt - START) / 1_000)).toEqual([300 + awayS + from]);
    }
  });
});
