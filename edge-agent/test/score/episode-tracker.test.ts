import { NO_STATISTICS, epochMs, limits, type Reading, type RollupSensor } from '@floorwatch/contracts';
import { beforeEach, describe, expect, it } from 'vitest';

import type { Detector, Verdict } from '../../src/score/detector.ts';
import { type EpisodeEvent, EpisodeTracker } from '../../src/score/episode-tracker.ts';
import { ReadingInHand } from '../../src/stats/reading-in-hand.ts';
import { blankVerdict } from './judging.ts';

/** Judges by the value: 0 is normal, 1 to 9 undecided, 10 to 19 a warning, the rest critical; the score is the value. */
const scripted: Detector = {
  name: 'scripted',
  version: 3,
  closeAfterReadings: 3,
  addSensor: () => undefined,
  judge(_slot, { value }, verdict): void {
    verdict.judgement = value >= 10 ? 'anomalous' : value >= 1 ? 'undecided' : 'normal';
    verdict.score = value;
    verdict.severity = value >= 20 ? 'critical' : 'warning';
    verdict.anomalyKind = 'too-much';
    verdict.low = null;
    verdict.high = 10;
  },
  explain: (sensor, _slot, value) => `${sensor.metric} is ${value}. ${'x'.repeat(sensor.device === 'long' ? 600 : 0)}`,
  learn: () => undefined,
};

const sensors: RollupSensor[] = [
  { device: 'press-3', metric: 'temperature', unit: '°C' },
  { device: 'long', metric: 'current' },
];
const before = [{ at: epochMs(-1_000), value: 0 }];
const moving = { ...NO_STATISTICS, countMean: 4 };

let tracker: EpisodeTracker;
let verdict: Verdict;

beforeEach(() => {
  verdict = blankVerdict();
  tracker = trackerOf('A');
});

function trackerOf(gateway: string): EpisodeTracker {
  const made = new EpisodeTracker(
    scripted,
    { site: 'plant', gateway },
    { sensor: (slot) => sensors[slot]!, moving: () => moving, before: () => before },
  );
  for (const [slot, sensor] of sensors.entries()) made.addSensor(slot, sensor);
  return made;
}

function observe(value: number, atSeconds: number, slot = 0, on = tracker): EpisodeEvent | undefined {
  const eventTime = epochMs(atSeconds * 1_000);
  const reading: Reading = { ...sensors[slot]!, eventTime, value, quality: 'good' };
  scripted.judge(slot, new ReadingInHand().set(eventTime, value), verdict);
  return on.observe(slot, reading, verdict);
}

/** Readings one second apart, and what came of each. */
const phases = (values: readonly number[]): (string | undefined)[] =>
  values.map((value, i) => observe(value, i)?.phase);

describe('episodes', () => {
  it('open with everything that the record promises', () => {
    const opened = observe(12, 5);
    expect(opened).toEqual({
      phase: 'opened',
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      device: 'press-3',
      metric: 'temperature',
      unit: '°C',
      detector: 'scripted',
      detectorVersion: 3,
      anomalyKind: 'too-much',
      severity: 'warning',
      openedAt: 5_000,
      eventTime: 5_000,
      value: 12,
      worst: { value: 12, at: 5_000, score: 12 },
      expected: { low: null, high: 10 },
      score: 12,
      moving,
      readings: 1,
      before,
      explanation: 'temperature is 12. ',
    });
  });

  it('do not open on normal or undecided readings', () => {
    expect(phases([0, 9, 0, 9])).toEqual([undefined, undefined, undefined, undefined]);
    expect(tracker.isOpen(0)).toBe(false);
  });

  it.each([
    ['just before ten seconds of event time no update comes', 9.999, undefined],
    ['exactly then it does', 10, 'updated'],
    ['just after, too', 10.001, 'updated'],
  ])('%s', (_name, later, phase) => {
    observe(12, 0);
    observe(15, 3);
    expect(observe(11, later)?.phase).toBe(phase);
  });

  it('an update tells the worst reading and the number of anomalous ones so far', () => {
    observe(12, 0);
    observe(15, 3);
    observe(5, 4);
    expect(observe(11, 12)).toMatchObject({
      phase: 'updated',
      openedAt: 0,
      eventTime: 12_000,
      value: 12,
      score: 12,
      worst: { value: 15, at: 3_000, score: 15 },
      readings: 3,
    });
  });

  it('updates count their ten seconds from the last record', () => {
    observe(12, 0);
    expect(observe(12, 11)?.phase).toBe('updated');
    expect(observe(12, 20.999)).toBeUndefined();
    expect(observe(12, 21)?.phase).toBe('updated');
  });

  it('what came within ten seconds is told by the next reading, whatever it is, and only once', () => {
    observe(12, 0);
    observe(15, 9);
    expect(observe(5, 10)).toMatchObject({ phase: 'updated', readings: 2, worst: { value: 15 } });
    expect(observe(5, 30)).toBeUndefined();
  });

  it('a rise to critical is told at once, with its own sentence, and stays although readings get better', () => {
    observe(12, 0);
    expect(observe(25, 1)).toMatchObject({
      phase: 'updated',
      severity: 'critical',
      explanation: 'temperature is 25. ',
    });
    expect(observe(30, 2)).toBeUndefined();
    expect(observe(12, 12)).toMatchObject({
      severity: 'critical',
      worst: { value: 30 },
      explanation: 'temperature is 25. ',
    });
  });

  it('close after enough normal readings in a row', () => {
    expect(phases([12, 0, 0, 0])).toEqual(['opened', undefined, undefined, 'closed']);
    expect(tracker.isOpen(0)).toBe(false);
  });

  it.each([
    ['an undecided reading', 5],
    ['an anomalous reading', 12],
  ])('%s starts the count of normal ones afresh', (_name, value) => {
    expect(phases([12, 0, 0, value, 0, 0])).toEqual(['opened', undefined, undefined, undefined, undefined, undefined]);
    expect(observe(0, 7)?.phase).toBe('closed');
  });

  it('the closing record says when, why and all that happened', () => {
    phases([12, 14, 0, 0]);
    expect(observe(0, 7)).toMatchObject({
      phase: 'closed',
      eventTime: 7_000,
      closeReason: 'recovered',
      readings: 2,
      worst: { value: 14, at: 1_000 },
    });
  });

  it('all records of an episode have one id, the next episode another', () => {
    const ids = [observe(12, 0), observe(25, 1), observe(0, 2), observe(0, 3), observe(0, 4), observe(12, 5)].map(
      (event) => event?.id,
    );
    expect(ids[1]).toBe(ids[0]);
    expect(ids[4]).toBe(ids[0]);
    expect(ids[5]).not.toBe(ids[0]);
  });

  it('the same opening has the same id again, and another one on another gateway, sensor, time or value', () => {
    const id = observe(12, 0)?.id;
    expect(observe(12, 0, 0, trackerOf('A'))?.id).toBe(id);
    const others = [
      observe(12, 0, 0, trackerOf('B'))?.id,
      observe(12, 0, 1, trackerOf('A'))?.id,
      observe(12, 0.001, 0, trackerOf('A'))?.id,
      observe(12.5, 0, 0, trackerOf('A'))?.id,
    ];
    expect(new Set([id, ...others]).size).toBe(5);
  });

  it('sensors have episodes of their own', () => {
    observe(12, 0, 0);
    expect(observe(12, 1, 1)?.phase).toBe('opened');
    expect([tracker.isOpen(0), tracker.isOpen(1)]).toEqual([true, true]);
  });

  it('a sentence that is too long is cut', () => {
    const explanation = observe(12, 0, 1)?.explanation;
    expect(explanation).toHaveLength(limits.explanationLengthMax);
    expect(explanation?.endsWith('x…')).toBe(true);
  });

  it('can be closed from outside, once', () => {
    observe(12, 0);
    observe(13, 1);
    expect(tracker.close(0, epochMs(2_000), 'shutdown')).toMatchObject({
      phase: 'closed',
      eventTime: 2_000,
      closeReason: 'shutdown',
      readings: 2,
    });
    expect(tracker.close(0, epochMs(2_000), 'shutdown')).toBeUndefined();
  });
});

describe('a fault that comes and goes', () => {
  /** Readings that it takes to close an episode that opens so many seconds after the last one has closed. */
  const normalsAfter = (pause: number, times: number): number => {
    const on = trackerOf('flapping');
    let at = 0;
    let taken = 0;
    for (let i = 0; i <= times; i++) {
      expect(observe(15, at, 0, on)?.phase).toBe('opened');
      for (taken = 1; observe(0, (at += 1), 0, on)?.phase !== 'closed'; taken++);
      at += pause;
    }
    return taken;
  };

  it('needs twice as many normal readings with every time, up to sixteen times as many', () => {
    expect([0, 1, 2, 3, 4, 5].map((times) => normalsAfter(10, times))).toEqual([3, 6, 12, 24, 48, 48]);
  });

  it('is the same fault within a minute, just before and exactly, and another one just after', () => {
    expect([59.999, 60, 60.001].map((pause) => normalsAfter(pause, 1))).toEqual([6, 6, 3]);
  });

  it('after a long episode it is the same fault for as long as that lasted', () => {
    const reopened = (seconds: number): boolean => {
      const on = trackerOf('long');
      for (let at = 0; at <= 1_000; at += 10) observe(15, at, 0, on);
      for (const at of [1_001, 1_002, 1_003]) observe(0, at, 0, on);
      observe(15, 1_003 + seconds, 0, on);
      return [1, 2, 3].map((i) => observe(0, 1_003 + seconds + i, 0, on)?.phase).includes('closed');
    };
    expect(reopened(1_003)).toBe(false);
    expect(reopened(1_003.001)).toBe(true);
  });
});
