import { epochMs } from '@floorwatch/contracts';
import { describe, expect, it } from 'vitest';

import { Intake, type IntakeConfig } from '../../src/ingest/intake.ts';
import type { RawMessage } from '../../src/ingest/raw-message.ts';

const NOW = epochMs(Date.UTC(2026, 0, 31, 12));
const config: IntakeConfig = {
  topics: [
    { topic: 'sensors/{device}/{metric}', codec: 'auto' },
    { topic: 'machines/{device}', codec: 'metrics' },
  ],
  sensorsMax: 100,
  readings: { futureMsMax: 600_000, duplicatesRemembered: 16, perMessageMax: 100 },
  units: { rules: [], aliases: [] },
  valueAbsMax: 1e150,
};

/** A message so many milliseconds after the first one. */
const message = (atMs: number, payload: unknown, topic = 'sensors/press/t'): RawMessage => ({
  topic,
  payload: Buffer.from(JSON.stringify(payload)),
  receivedAt: epochMs(NOW + atMs),
  retained: false,
});

/** What an intake that has heard of press/t at 0 makes of a further message. */
function arrivals(...messages: readonly RawMessage[]): unknown[] {
  const intake = new Intake(config, { claim: () => false });
  const clock = { now: NOW, quality: 'synchronised' } as const;
  intake.settled(intake.take([message(0, { value: 1, ts: NOW })], clock), true);
  const taken = intake.take(messages, clock);
  intake.settled(taken, true);
  return taken.arrivals.map(({ sensor, receivedAt }) => [sensor.device, sensor.metric, receivedAt - NOW]);
}

describe('an arrival', () => {
  it.each([
    ['a repeat', { value: 1, ts: NOW }],
    ['a reading that goes into quarantine', { value: 2, ts: 0 }],
    ['a value that is too large', { value: 1e200 }],
    ['a payload without a value', { temperature: null }],
  ])('is %s', (_, payload) => {
    expect(arrivals(message(5_000, payload))).toEqual([['press', 't', 5_000]]);
  });

  it('is a metric of an object that is refused by itself, under its own name', () => {
    const known = message(0, { ts: NOW, pressure: 3 }, 'machines/press');
    const broken = message(5_000, { ts: NOW + 5_000, pressure: 'broken' }, 'machines/press');
    expect(arrivals(known, broken)).toEqual([['press', 'pressure', 5_000]]);
  });

  it('is none if a reading is accepted: that tells it', () => {
    expect(arrivals(message(5_000, { value: 2, ts: NOW + 5_000 }))).toEqual([]);
  });

  it('is one a second of each sensor: just before, exactly', () => {
    const repeats = [999, 1_000, 1_500, 1_999, 2_000].map((atMs) => message(atMs, { value: 1, ts: NOW }));
    expect(arrivals(...repeats)).toEqual([
      ['press', 't', 1_000],
      ['press', 't', 2_000],
    ]);
  });

  it('names no sensor that is not known, and is no copy that a broker kept and nothing that is released from quarantine', () => {
    const reading = { device: 'press', metric: 't', eventTime: NOW, value: 1, quality: 'good' } as const;
    expect(
      arrivals(
        message(5_000, 'nothing', 'sensors/press/unknown'),
        message(5_000, 'nothing', 'elsewhere'),
        { ...message(5_000, { value: 1, ts: NOW }), retained: true },
        { ...message(5_000, {}), released: reading },
      ),
    ).toEqual([]);
  });
});
