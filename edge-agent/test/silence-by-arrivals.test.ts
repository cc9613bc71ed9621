import { epochMs, hours, minutes, seconds } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { engineConfigSchema } from '../src/sensor-engine-config.ts';
import { type Absence, LiveEngine, type LiveItem, liveItems, type Sender } from './support/live-items.ts';

const BEGIN = 1_700_000_000_000;
const OFF = { enabled: false };
/** What judges times, and nothing that judges values. */
const config = engineConfigSchema.parse({ zScore: { watch: 'never' }, adaptive: OFF, stuck: OFF, noise: OFF });

const sensor = (name: string) => ({ device: 'press-3', metric: name });
const every = (everyMs: number, more: Partial<Sender> = {}): Sender => ({
  sensor: sensor(`every-${everyMs}`),
  everyMs,
  ...more,
});
/** Cadences as floors have them. */
const CADENCES = [1_000, 2_000, 5_000, 10_000, 60_000, 300_000];

const lived = (...items: readonly (LiveItem | readonly LiveItem[])[]): LiveEngine =>
  new LiveEngine(config).take(items.flat());
const found = (engine: LiveEngine, detector = 'silent'): unknown[] =>
  engine
    .final(detector)
    .map(({ metric, phase, severity, openedAt }) => [metric, phase, severity, (openedAt - BEGIN) / 1_000]);

describe('a floor for 26 hours without a fault', () => {
  const HOURS = hours(26);

  it(
    'with clocks that are up to two hours behind has no silence, and one episode per clock that lags',
    { timeout: 60_000 },
    () => {
      const lags = [0, seconds(20), minutes(2), minutes(10), hours(1), hours(2)];
      const senders = CADENCES.map((everyMs, i) => every(everyMs, { lagMs: lags[i]! }));
      const engine = lived(liveItems(BEGIN, HOURS, senders));
      expect(found(engine)).toEqual([]);
      expect(found(engine, 'clock').map((episode) => (episode as unknown[]).slice(0, 3))).toEqual(
        [5_000, 10_000, 60_000, 300_000].map((everyMs) => [`every-${everyMs}`, 'updated', 'warning']),
      );
    },
  );

  it('whose devices send every 30 s to every hour what they have gathered has none', { timeout: 60_000 }, () => {
    const uploads = [seconds(30), minutes(1), minutes(5), minutes(10), minutes(30), hours(1)];
    const senders = uploads.flatMap((uploadMs) => [
      every(10_000, { sensor: sensor(`one-${uploadMs}`), uploadMs }),
      every(5_000, { sensor: sensor(`many-${uploadMs}`), uploadMs, spreadMs: 50 }),
      every(15_000, { sensor: sensor(`slow-${uploadMs}`), uploadMs, spreadMs: 2_000 }),
    ]);
    const engine = lived(liveItems(BEGIN, HOURS, senders));
    expect(found(engine)).toEqual([]);
    expect(found(engine, 'clock')).toEqual([]);
  });

  it('whose agent is restarted ten times, for a second or for an hour, has none', { timeout: 60_000 }, () => {
    const absences = [1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600].map((s, i): Absence => {
      const from = BEGIN + hours(2 * i + 1) + i * 777;
      // A client that doubles its pauses comes back within as long again, and within two minutes.
      return { from, to: from + seconds(s), returnMs: Math.min(seconds(110), Math.max(seconds(5), seconds(s * 0.9))) };
    });
    const engine = lived(
      liveItems(
        BEGIN,
        HOURS,
        CADENCES.map((everyMs) => every(everyMs)),
        absences,
      ),
    );
    expect(found(engine)).toEqual([]);
    expect(found(engine, 'clock')).toEqual([]);
  });
});

describe('a device that dies', () => {
  const DEATH = hours(3);
  /** How long after its last arrival it is called silent, in seconds. */
  const delay = (everyMs: number, absences: readonly Absence[] = []): number => {
    const died = BEGIN + DEATH;
    const sender = every(everyMs, { silent: [died, Infinity] });
    const [episode, ...more] = found(lived(liveItems(BEGIN, hours(6), [sender], absences))) as [
      string,
      string,
      string,
      number,
    ][];
    expect(more).toEqual([]);
    return episode![3] - DEATH / 1_000;
  };

  it.each(CADENCES)('is found as soon as if the agent had not been restarted before (every %d ms)', (everyMs) => {
    const absences = [10, 30, 60, 90, 120, 150].map((minute): Absence => {
      const from = BEGIN + minutes(minute) + 333;
      return { from, to: from + seconds(40), returnMs: seconds(3) };
    });
    expect(Math.abs(delay(everyMs, absences) - delay(everyMs))).toBeLessThan(1.5);
  });

  it('just before a restart is found behind it, after what was left of its time and what devices take to come back', () => {
    const from = BEGIN + DEATH + seconds(3);
    const absence = { from, to: from + seconds(60), returnMs: seconds(5) };
    const alone = delay(1_000);
    // Away for a minute, and devices may take as long to come back.
    const later = delay(1_000, [absence]) - alone;
    expect(later).toBeGreaterThan(60 + 60 - 3);
    expect(later).toBeLessThan(60 + 60 + 10);
  });
});

describe('the time for which the gateway listens', () => {
  const tick = (second: number, more: object = {}, stepMs = 0): LiveItem => ({
    kind: 'tick',
    clock: { now: epochMs(BEGIN + second * 1_000 + stepMs), synchronised: true, sinceStartMs: second * 1_000, ...more },
  });
  const reading = (second: number, metric: string, eventSecond = second, stepMs = 0): LiveItem => ({
    kind: 'reading',
    receivedAt: epochMs(BEGIN + second * 1_000 + stepMs),
    reading: { ...sensor(metric), eventTime: epochMs(BEGIN + eventSecond * 1_000), value: second % 7, quality: 'good' },
  });
  const start: LiveItem = { kind: 'start', at: epochMs(BEGIN) };
  const run = (from: number, to: number, of: (second: number) => LiveItem[]): LiveItem[] =>
    Array.from({ length: to - from }, (_, i) => of(from + i)).flat();
  const usual = (second: number, stepMs = 0): LiveItem[] => [
    ...(second % 5 === 0 ? [tick(second, {}, stepMs)] : []),
    reading(second, 'a', second, stepMs),
  ];

  it('is not that of a wall clock that steps', () => {
    for (const stepMs of [-3_600_000, -90_000, 90_000, 3_600_000]) {
      const engine = lived(
        start,
        run(0, 600, (second) => usual(second)),
        run(600, 1_200, (second) => usual(second, stepMs)),
      );
      expect(found(engine)).toEqual([]);
    }
  });

  it('stands still while the agent does: a process that was stopped for ten minutes', () => {
    const engine = lived(
      start,
      run(0, 600, (second) => usual(second)),
      run(1_200, 1_800, (second) => usual(second)),
    );
    expect(found(engine)).toEqual([]);
  });

  it('stands still while the broker is away, and what it had kept is no arrival', () => {
    const deaf = run(600, 900, (second) => (second % 5 === 0 ? [tick(second, { deaf: true })] : []));
    const kept = run(600, 900, (second) => [reading(899, 'a', second)]);
    // The device itself has died with the broker.
    const engine = lived(
      start,
      run(0, 600, (second) => usual(second)),
      deaf,
      kept,
      run(900, 1_300, (second) => usual(second).slice(0, -1)),
    );
    expect(found(engine)).toMatchObject([['a', 'updated', 'critical', expect.any(Number)]]);
    const [[, , , openedAt]] = found(engine) as [[string, string, string, number]];
    // Five minutes away: two minutes to come back, and then what is left of its own time.
    expect(openedAt).toBeGreaterThan(900 + 120);
    expect(openedAt).toBeLessThan(900 + 120 + 15);
  });

  it('knows a repeat, a value that is refused and a time that is set aside for a sign of life, and what is released from quarantine for none', () => {
    const before = run(0, 600, (second) => usual(second));
    const arrivals = run(600, 900, (second): LiveItem[] => [
      ...usual(second).slice(0, -1),
      { kind: 'arrival', sensor: sensor('a'), receivedAt: epochMs(BEGIN + second * 1_000) },
    ]);
    expect(found(lived(start, before, arrivals))).toEqual([]);
    const released = run(600, 900, (second): LiveItem[] => {
      const item = reading(second, 'a') as Extract<LiveItem, { kind: 'reading' }>;
      return [...usual(second).slice(0, -1), { ...item, isReleased: true }];
    });
    expect(found(lived(start, before, released))).toHaveLength(1);
    // Nobody knows a sensor by what was refused alone.
    const unknown = run(0, 300, (second): LiveItem[] => [
      ...usual(second),
      { kind: 'arrival', sensor: sensor('b'), receivedAt: epochMs(BEGIN + second * 1_000) },
    ]);
    expect(
      found(
        lived(
          start,
          unknown,
          run(300, 600, (second) => usual(second)),
        ),
      ),
    ).toEqual([]);
  });

  it('is the gateway’s own while a device’s clock runs away', () => {
    const fast = run(600, 1_200, (second) => [
      ...usual(second).slice(0, -1),
      reading(second, 'a', 600 + (second - 600) * 3),
    ]);
    expect(
      found(
        lived(
          start,
          run(0, 600, (second) => usual(second)),
          fast,
        ),
      ),
    ).toEqual([]);
    const back = run(600, 1_200, (second) => [...usual(second).slice(0, -1), reading(second, 'a', second - 3_600)]);
    const engine = lived(
      start,
      run(0, 600, (second) => usual(second)),
      back,
    );
    expect(found(engine)).toEqual([]);
    expect(found(engine, 'clock')).toHaveLength(1);
  });
});

it('an engine that is replaced anywhere by one with its state finds the same silences and clocks', () => {
  const senders = [
    every(1_000, { silent: [BEGIN + minutes(20), BEGIN + minutes(25)] }),
    every(5_000, { lagMs: minutes(3) }),
    every(30_000, { silent: [BEGIN + minutes(30), Infinity] }),
  ];
  const absences = [
    { from: BEGIN + minutes(15), to: BEGIN + minutes(16), returnMs: seconds(20) },
    { from: BEGIN + minutes(24), to: BEGIN + minutes(24.5), returnMs: seconds(5) },
  ];
  const items = liveItems(BEGIN, minutes(60), senders, absences);
  const expected = lived(items);
  expect(found(expected).length).toBeGreaterThan(1);
  expect(found(expected, 'clock')).toHaveLength(1);
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(items.length - 1), { minLength: 1, maxLength: 5 }), (cuts) => {
      const engine = new LiveEngine(config);
      const at = new Set(cuts);
      for (const [index, item] of items.entries()) {
        if (at.has(index)) engine.restore();
        engine.take([item]);
      }
      expect(engine.episodes).toEqual(expected.episodes);
    }),
    { numRuns: 30 },
  );
});
