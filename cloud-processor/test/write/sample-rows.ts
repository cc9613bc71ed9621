import {
  type Aggregate,
  type AnomalyRow,
  type CountedEpisodesRow,
  type CountedRow,
  durationMs,
  epochMs,
  type GatewayRow,
  isName,
  type LateRow,
  type LiveWindowRow,
  type MovingStatistics,
  type SensorRef,
  type WindowRow,
} from '@floorwatch/contracts';
import fc from 'fast-check';

import { RetentionClock } from '../../src/write/retention-clock.ts';

/** A full hour, so that windows of every size may start there: 2026-03-02T08:00:00Z. */
export const BASE = 1_772_438_400_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;

export const PRESS: SensorRef = { site: 'plant-1', gateway: 'gw-1', device: 'press-01', metric: 'temperature' };

export const NO_MOVING: MovingStatistics = {
  countMean: null,
  countSd: null,
  timeMean: null,
  timeSd: null,
  ewMean: null,
  ewSd: null,
};

/** Names that people use, and names that a person with bad intentions would. */
export const ODD_NAMES = [
  'Halle 3, Linie 2',
  'a=b',
  'a\\',
  'a\\\\',
  'C:\\line\\press 1',
  '\\,\\=\\ x',
  '_measurement',
  '__',
  '"quoted"',
  "it's",
  '°C 温度 Ångström',
  '🏭👷🏽‍♀️',
  'e\u0301',
  '\u00e9',
  '\u200f-rtl',
  'a\u2028b',
  '$',
  '$"\\',
  '${1 + 1}',
  '$$${x}',
  'x" or true) //',
  "x' OR 1=1 --",
  '*',
  '0',
  'null',
  'x'.repeat(128),
  '😀'.repeat(64),
] as const;

/** Values whose digits get lost easily. */
export const ODD_NUMBERS = [
  0,
  -0,
  5e-324,
  -5e-324,
  2.2250738585072014e-308,
  1.7976931348623157e308,
  -1.7976931348623157e308,
  0.1 + 0.2,
  1e21,
  1e-7,
  123456789.12345679,
  1e9 + 1e-3,
  2 ** 53 - 1,
  1 / 3,
] as const;

export const aggregate = (overrides: Partial<Aggregate> = {}): Aggregate => ({
  n: 60,
  reference: 71.25,
  mean: 0.1 + 0.2,
  m2: 1 / 3,
  min: 70.5,
  max: 72.125,
  last: 71.5,
  lastAt: BASE + 59_000,
  anomalous: 2,
  uncertain: 1,
  ...overrides,
});

export const windowRow = (overrides: Partial<WindowRow> = {}): WindowRow => ({
  table: 'window',
  sensor: PRESS,
  unit: '°C',
  size: durationMs(MINUTE),
  start: epochMs(BASE),
  aggregate: aggregate(),
  moving: { ...NO_MOVING, countMean: 71.4, countSd: 0.3 },
  revision: 0,
  incomplete: false,
  ...overrides,
});

export const liveRow = (start: number): LiveWindowRow => ({
  table: 'window_live',
  sensor: PRESS,
  size: durationMs(MINUTE),
  start: epochMs(start),
  aggregate: aggregate(),
  moving: NO_MOVING,
});

export const lateRow = (overrides: Partial<LateRow> = {}): LateRow => ({
  table: 'late',
  sensor: PRESS,
  size: durationMs(MINUTE),
  start: epochMs(BASE),
  readings: 3,
  ...overrides,
});

export const anomalyRow = (overrides: Partial<AnomalyRow> = {}): AnomalyRow => ({
  table: 'anomaly',
  phase: 'opened',
  id: '00000000000000000000000000000001',
  sensor: PRESS,
  unit: '°C',
  detector: 'z-score',
  detectorVersion: 1,
  anomalyKind: 'above-normal',
  severity: 'warning',
  openedAt: epochMs(BASE),
  eventTime: epochMs(BASE),
  detectedAt: epochMs(BASE + 12),
  clock: 'synchronised',
  provenance: 'live',
  value: 91.5,
  worst: { value: 91.5, at: epochMs(BASE), score: 7.5 },
  expected: { low: 69.5, high: null },
  score: 7.5,
  moving: { ...NO_MOVING, countMean: 71.4, countSd: 0.3 },
  readings: 1,
  before: [
    { at: epochMs(BASE - 2_000), value: 71.1 },
    { at: epochMs(BASE - 1_000), value: 71.6 },
  ],
  explanation: '91.5 °C, expected at least 69.5 °C',
  ...overrides,
});

export const gatewayRow = (overrides: Partial<GatewayRow> = {}): GatewayRow => ({
  table: 'gateway',
  site: 'plant-1',
  gateway: 'gw-1',
  at: epochMs(BASE),
  startedAt: epochMs(BASE - HOUR),
  version: '0.1.0',
  configHash: 'cafebabe',
  clock: 'synchronised',
  sensors: 12,
  counters: { readingsReceived: 4_000, readingsAccepted: 3_990, 'odd name=\\': 10 },
  ...overrides,
});

export const countedRow = (overrides: Partial<CountedRow> = {}): CountedRow => ({
  table: 'counted',
  sensor: PRESS,
  hour: epochMs(BASE),
  counter: '1-00000001',
  since: 0,
  n: 3_600,
  hash: '0123456789abcdef',
  through: { run: 1, number: 17 },
  ...overrides,
});

export const countedEpisodesRow = (overrides: Partial<CountedEpisodesRow> = {}): CountedEpisodesRow => ({
  table: 'counted_episodes',
  site: 'plant-1',
  gateway: 'gw-1',
  hour: epochMs(BASE),
  counter: '1-00000001',
  since: 0,
  opened: 2,
  openedHash: '0123456789abcdef',
  closed: 1,
  closedHash: 'fedcba9876543210',
  through: { run: 1, number: 17 },
  ...overrides,
});

const name = fc.oneof(
  fc.constantFrom(...ODD_NAMES),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter(isName),
  fc.string({ unit: fc.constantFrom('\\', ',', '=', ' ', '"', '_', '$', '{', 'n', '😀'), minLength: 1 }).filter(isName),
);

const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength }),
    fc.constantFrom('two\nlines', 'two\r\nlines', 'a\rb', 'tab\t"quote"\\', '\\', '\\n', '\u0000', '\ud800', 'a,b=c d'),
  );

const value = fc.oneof(fc.constantFrom(...ODD_NUMBERS), fc.double({ noNaN: true, noDefaultInfinity: true }));
const instant = fc.integer({ min: BASE - 30 * DAY, max: BASE + 30 * DAY }).map(epochMs);
const count = fc.nat();
const statistic = fc.option(value);

const sensors: fc.Arbitrary<SensorRef> = fc.record({ site: name, gateway: name, device: name, metric: name });

const moving: fc.Arbitrary<MovingStatistics> = fc.record({
  countMean: statistic,
  countSd: statistic,
  timeMean: statistic,
  timeSd: statistic,
  ewMean: statistic,
  ewSd: statistic,
});

export const windowRows: fc.Arbitrary<WindowRow> = fc.record(
  {
    table: fc.constant('window' as const),
    sensor: sensors,
    unit: text(32),
    size: fc.constantFrom(10_000, MINUTE, 15 * MINUTE, HOUR, DAY).map(durationMs),
    start: instant,
    aggregate: fc.record({
      n: count,
      reference: value,
      mean: value,
      m2: value,
      min: value,
      max: value,
      last: value,
      lastAt: instant,
      anomalous: count,
      uncertain: count,
    }),
    moving,
    hash: fc.stringMatching(/^[0-9a-f]{16}$/),
    revision: count,
    incomplete: fc.boolean(),
  },
  { requiredKeys: ['table', 'sensor', 'size', 'start', 'aggregate', 'moving', 'revision', 'incomplete'] },
);

const id = fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map((n) => n.toString(16).padStart(32, '0'));
const score = fc.double({ min: 0, max: 300, noNaN: true });

export const anomalyRows: fc.Arbitrary<AnomalyRow> = fc.record(
  {
    table: fc.constant('anomaly' as const),
    phase: fc.constantFrom('opened' as const, 'updated' as const, 'closed' as const),
    id,
    sensor: sensors,
    unit: text(32),
    detector: fc.constantFrom('z-score', 'limits'),
    detectorVersion: count,
    anomalyKind: fc.constantFrom('above-limit', 'below-normal'),
    severity: fc.constantFrom('warning' as const, 'critical' as const),
    openedAt: instant,
    eventTime: instant,
    detectedAt: instant,
    clock: fc.constantFrom('synchronised' as const, 'unsynchronised' as const, 'unknown' as const),
    provenance: fc.constantFrom('live' as const, 'backlog' as const),
    value,
    worst: fc.record({ value, at: instant, score }),
    expected: fc.record({ low: fc.option(value), high: fc.option(value) }),
    score,
    moving,
    readings: fc.integer({ min: 1 }),
    before: fc.array(fc.record({ at: instant, value }), { maxLength: 16 }),
    explanation: text(500),
    closeReason: fc.constant('recovered'),
  },
  {
    requiredKeys: [
      'table',
      'phase',
      'id',
      'sensor',
      'detector',
      'detectorVersion',
      'anomalyKind',
      'severity',
      'openedAt',
      'eventTime',
      'detectedAt',
      'clock',
      'provenance',
      'value',
      'worst',
      'expected',
      'score',
      'moving',
      'readings',
      'before',
      'explanation',
    ],
  },
);

/** A clock for retention whose two sides both say `now`. */
export function messageSeen(now: number): RetentionClock {
  const clock = new RetentionClock(() => now);
  clock.saw(now);
  return clock;
}
