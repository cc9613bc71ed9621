import { epochMs, type GatewayAlarm, type GatewayView } from '@floorwatch/contracts';
import { describe, expect, test } from 'vitest';

import { describeAlarms, describeGateway, isSilent } from '../../console/src/gateway-words.ts';

const NOW = Date.UTC(2026, 2, 2, 12);
const gateway = (fields: Partial<GatewayView> = {}): GatewayView => ({
  site: 'Leipzig',
  gateway: 'hall-1',
  heardAt: epochMs(NOW - 1_000),
  watermark: epochMs(NOW - 11_000),
  sensors: 3,
  report: null,
  alarms: [],
  ...fields,
});
const report = (counters: Record<string, number>): NonNullable<GatewayView['report']> => ({
  table: 'gateway',
  site: 'Leipzig',
  gateway: 'hall-1',
  at: epochMs(NOW),
  startedAt: epochMs(NOW),
  version: '0.1.0',
  configHash: 'cafebabe',
  clock: 'synchronised',
  sensors: 3,
  counters,
});

describe('how a gateway is', () => {
  test.each([
    [{}, 'Live', false],
    [{ heardAt: epochMs(NOW - 20_000) }, 'Heard 20 s ago', false],
    [{ heardAt: epochMs(NOW - 90_000) }, 'Silent for 1 min 30 s: its sensors are unknown', true],
    [{ heardAt: null }, 'Not heard since the processor started: its sensors are unknown', true],
    [{ report: report({ brokerAway: 0 }) }, 'Live', false],
    [{ report: report({ brokerAway: 1 }) }, 'Its MQTT broker is away: its sensors are unknown', true],
  ])('%j: %s', (fields, words, silent) => {
    expect(describeGateway(gateway(fields), NOW, 60_000)).toBe(words);
    expect(isSilent(gateway(fields), NOW, 60_000)).toBe(silent);
  });
});

describe('alarms of gateways', () => {
  const alarm = (fields: Partial<GatewayAlarm> = {}): GatewayAlarm => ({
    kind: 'identity',
    lane: 'anomaly',
    epoch: '2-ab',
    firstAt: epochMs(NOW - 3_600_000),
    lastAt: epochMs(NOW - 60_000),
    count: 1,
    meaning: 'two machines run from copies of one disk',
    remedy: 'give one of them another name',
    ...fields,
  });

  test('say what they mean and what to do, the newest first; those of both lanes are one, and old ones are left out', () => {
    const others = [
      alarm({
        kind: 'trimmed',
        meaning: 'records are gone',
        remedy: 'find out why',
        lastAt: epochMs(NOW - 5_000),
        count: 3,
      }),
      alarm({ meaning: 'long ago', lastAt: epochMs(NOW - 86_400_000) }),
    ];
    const both = [alarm(), alarm({ lane: 'telemetry', lastAt: epochMs(NOW - 50_000) })];
    const shown = describeAlarms([gateway({ alarms: both }), gateway({ gateway: 'hall-2', alarms: others })], NOW);
    expect(shown).toHaveLength(2);
    expect(shown[0]).toMatchObject({
      title: 'Leipzig / hall-2 no longer has records that the processor lacks',
      meaning: 'Records are gone.',
      remedy: 'Find out why.',
    });
    expect(shown[0]?.when).toMatch(/^3 times, from /);
    expect(shown[1]).toMatchObject({
      title: 'Leipzig / hall-1 is not the gateway that it was, or there are two of it',
      meaning: 'Two machines run from copies of one disk.',
    });
    expect(describeAlarms([gateway()], NOW)).toEqual([]);
  });
});
