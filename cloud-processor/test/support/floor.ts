import {
  NO_STATISTICS,
  addHash,
  addReading,
  type Aggregate,
  aggregateOf,
  type AnomalyRecord,
  type Batch,
  days,
  encodeBatch,
  epochMs,
  type FloorRecord,
  type GatewayName,
  type HashSum,
  ingestSubject,
  ReadingHash,
  type Rollup,
  rollupsRecord,
  type RollupsRecord,
  seconds,
  sensorKey,
  type StartRecord,
  textHash,
  type StatusRecord,
} from '@floorwatch/contracts';

import type { StreamMessage } from '../../src/partition.ts';
import type { SequencerLimits } from '../../src/sequence/sequencer.ts';
import type { WindowConfig } from '../../src/window/window-config.ts';

/** A claim that does not end. */
export const heldRight = { msLeft: Infinity, mayAct: true } as const;

/**
 * Rows without the numbers of their runs, which count on from what the claim remembers, although another processor may have made the same rows in
 * another store.
 */
export const withoutRuns = (contents: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(contents).map(([key, text]) => [key, text.replace(/"run":\d+/, '"run":0')]));

/** A full hour: 2026-03-02T08:00:00Z. */
export const BASE = 1_772_438_400_000;
export const BUCKET = 10_000;
export const MINUTE = 60_000;

export const GATEWAY: GatewayName = { site: 'plant-1', gateway: 'gw-1' };
export const SENSORS = [
  { device: 'press-01', metric: 'temperature', unit: '°C' },
  { device: 'press-01', metric: 'pressure' },
  { device: 'press-02', metric: 'temperature', unit: '°C' },
] as const;

/** One reading of one of the sensors. */
export interface TestReading {
  readonly sensor: number;
  readonly at: number;
  readonly value: number;
}

export const windowConfig = (more: Partial<WindowConfig> = {}): WindowConfig => ({
  sizes: [seconds(60), seconds(900), seconds(3_600)],
  allowedLateness: seconds(30),
  gatewaysMax: 100,
  sensorsPerGatewayMax: 1_000,
  openWindowsMax: 100_000,
  lostRangesPerGatewayMax: 10,
  lostKept: days(8),
  lostSealedMax: days(1),
  lateWindowsMax: 1_000,
  lateRollupsMax: 10_000,
  ...more,
});

/** The hash of one reading, as a gateway makes it. */
export function hashOfReading({ sensor, at, value }: TestReading): HashSum {
  const hash = new ReadingHash();
  hash.set(textHash(sensorKey(SENSORS[sensor] ?? { device: '?', metric: '?' })), { eventTime: at, value });
  return { high: hash.high, low: hash.low };
}

/** What a gateway makes of readings: one rollup per sensor and 10 s, in the order of first reading. */
function rollupsOf(readings: readonly TestReading[]): Rollup[] {
  const rollups = new Map<string, Rollup & { aggregate: Aggregate; hash: HashSum }>();
  for (const reading of readings) {
    const { sensor, at, value } = reading;
    const hash = hashOfReading(reading);
    const start = Math.floor(at / BUCKET) * BUCKET;
    const key = `${sensor}/${start}`;
    const known = rollups.get(key);
    if (known !== undefined) {
      addReading(known.aggregate, value, at, false, false);
      addHash(known.hash, hash);
    } else {
      const moving = { ...NO_STATISTICS, ewMean: value };
      rollups.set(key, { sensor, start, aggregate: aggregateOf(value, at, false, false), moving, hash });
    }
  }
  return [...rollups.values()];
}

export const rollups = (number: number, readings: readonly TestReading[]): RollupsRecord =>
  rollupsRecord(number, rollupsOf(readings));

export const tick = (number: number, watermark: number): FloorRecord => ({
  kind: 'tick',
  number,
  watermark: epochMs(watermark),
  at: epochMs(watermark),
  clock: 'synchronised',
});

export const anomaly = (number: number, id: number, phase: AnomalyRecord['phase'], count = 1): AnomalyRecord => ({
  kind: 'anomaly',
  number,
  phase,
  id: id.toString(16).padStart(32, '0'),
  device: 'press-01',
  metric: 'temperature',
  unit: '°C',
  detector: 'z-score',
  detectorVersion: 1,
  anomalyKind: 'above-limit',
  severity: 'warning',
  openedAt: epochMs(BASE + id * 1_000),
  eventTime: epochMs(BASE + id * 1_000 + count),
  detectedAt: epochMs(BASE + id * 1_000),
  clock: 'synchronised',
  provenance: 'live',
  value: 90,
  worst: { value: 90 + count, at: epochMs(BASE + id * 1_000), score: 12 },
  expected: { low: 10, high: 30 },
  score: 12,
  moving: NO_STATISTICS,
  readings: count,
  before: [],
  explanation: 'too hot',
  ...(phase === 'closed' ? { closeReason: 'recovered' } : {}),
});

/** What a gateway reports of itself. */
export const report = (number: number, counters: StatusRecord['counters'] = {}): StatusRecord => ({
  kind: 'status',
  number,
  at: epochMs(BASE + number),
  startedAt: epochMs(BASE),
  version: '0.1.0',
  configHash: '0123abcd',
  clock: 'synchronised',
  sensors: 3,
  counters,
});

/** The first record of an epoch. */
export const start = (predecessor: StartRecord['predecessor'] = null): StartRecord => ({
  kind: 'start',
  number: 1,
  predecessor,
  at: epochMs(BASE),
  clock: 'synchronised',
});

/** A batch of consecutive records of one gateway. */
export const batchOf = (
  records: readonly FloorRecord[],
  more: Partial<Pick<Batch, 'epoch' | 'lane' | 'site' | 'gateway'>> = {},
): Batch => ({
  schema: 1,
  ...GATEWAY,
  lane: 'telemetry',
  epoch: '1-00000001',
  sensors: [...SENSORS],
  ...more,
  records: [...records],
});

/** The message that carries a batch. */
export const messageOf = (batch: Batch, sequence: number): StreamMessage => ({
  subject: ingestSubject(batch),
  data: encodeBatch(batch),
  sequence,
  storedAt: epochMs(BASE + sequence),
});

export const sequencerLimits = (more: Partial<SequencerLimits> = {}): SequencerLimits => ({
  streamAgeMax: days(7),
  epochsPerSourceMin: 16,
  epochsPerSourceMax: 1_000,
  ...more,
});

/** What every partition of a test begins with. */
export const partitionBasics = {
  windows: windowConfig(),
  sequence: sequencerLimits(),
  newSeries: '0123456789abcdef',
} as const;

export { deafObserver as deaf } from '../../src/floor-observer.ts';

/** Keeps what is emitted. */
export class Kept<T> {
  readonly items: T[] = [];
  emit(item: T): void {
    this.items.push(item);
  }
}
