import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  type Aggregate,
  aggregateOf,
  type AnomalyRow,
  durationMs,
  epochMs,
  type LiveWindowRow,
  type MovingStatistics,
  type RollupsRecord,
  rollupsRecord,
  type SensorRef,
  type WindowRow,
} from '@floorwatch/contracts';
import { createLogger } from '@floorwatch/runtime';
import { Registry } from 'prom-client';

import { createServeApp, FloorView, type ServeOptions } from '../../src/serve/index.ts';
import { createStore } from '../../src/write/create-store.ts';
import { storeConfigSchema } from '../../src/write/store-config.ts';
import type { Store } from '../../src/write/store.ts';

/** 2026-03-02T08:00:00Z, a full hour. */
export const BASE = 1_772_438_400_000;
export const TEMPERATURE: SensorRef = { site: 'plant-1', gateway: 'gw-1', device: 'press-1', metric: 'temperature' };
export const ID = 'plant-1/gw-1/press-1/temperature';
export const MOVING: MovingStatistics = {
  countMean: 70,
  countSd: 1,
  timeMean: 70,
  timeSd: 1.5,
  ewMean: null,
  ewSd: null,
};
export const quiet = createLogger('test', 'silent');

export const reading = (value: number, at: number): Aggregate => aggregateOf(value, at, false, false);

/** A record with one rollup, of the bucket that begins at `start`. */
export const rollup = (start: number, aggregate: Aggregate, moving = MOVING): RollupsRecord =>
  rollupsRecord(1, [{ sensor: 0, start, aggregate, moving }]);

/** Tells the view of one rollup. */
export function tellRollup(view: FloorView, ref: SensorRef, unit: string, start: number, aggregate: Aggregate): void {
  view.rollups(ref, [{ device: ref.device, metric: ref.metric, unit }], rollup(start, aggregate));
}

export const sensor = (metric: string, gateway = 'gw-1'): SensorRef => ({ ...TEMPERATURE, gateway, metric });

export function windowRow(start: number, value: number, size = 60_000): WindowRow {
  return {
    table: 'window',
    sensor: TEMPERATURE,
    unit: '°C',
    size: durationMs(size),
    start: epochMs(start),
    aggregate: reading(value, start + 1_000),
    moving: MOVING,
    hash: '0123456789abcdef',
    revision: 0,
    incomplete: false,
  };
}

export function openWindow(start: number, value: number): LiveWindowRow {
  const { revision: _revision, incomplete: _incomplete, ...fields } = windowRow(start, value);
  return { ...fields, table: 'window_live' };
}

export function anomalyRow(number: number, change: Partial<AnomalyRow> = {}): AnomalyRow {
  const openedAt = epochMs(BASE + number * 1_000);
  return {
    table: 'anomaly',
    phase: 'opened',
    id: number.toString(16).padStart(32, '0'),
    sensor: TEMPERATURE,
    unit: '°C',
    detector: 'z-score',
    detectorVersion: 1,
    anomalyKind: 'above-band',
    severity: 'warning',
    openedAt,
    eventTime: openedAt,
    detectedAt: openedAt,
    clock: 'synchronised',
    provenance: 'live',
    value: 91,
    worst: { value: 91, at: openedAt, score: 9 },
    expected: { low: 66, high: 74 },
    score: 9,
    moving: MOVING,
    readings: 1,
    before: [],
    explanation: 'temperature of press-1 is 91 °C; 66 to 74 °C was expected.',
    ...change,
  };
}

/** A real store in a folder of its own, connected. */
export async function makeStore(): Promise<{ store: Store; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'floorwatch-serve-'));
  const config = storeConfigSchema.parse({
    kind: 'duckdb',
    file: join(folder, 'store.duckdb'),
    retentionDays: 36_500,
  });
  const store = createStore(config, quiet);
  await store.connect(new AbortController().signal);
  return {
    store,
    async remove() {
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

const NO_STORE: ServeOptions['store'] = {
  windows: () => Promise.resolve({ items: [], next: null }),
  windowsByTime: () => Promise.resolve({ items: [], next: null }),
  anomalies: () => Promise.resolve({ items: [], next: null }),
};

/** The app with what a test does not care about filled in. */
export function makeApp(options: Partial<ServeOptions> = {}) {
  const view = options.view ?? new FloorView({ silentAfterMs: durationMs(60_000) });
  const metrics = options.metrics ?? new Registry();
  const app = createServeApp({
    store: NO_STORE,
    view,
    openWindows: { openWindows: () => [] },
    token: undefined,
    consoleDir: '/nonexistent',
    exportDir: '/nonexistent/exports',
    metrics,
    health: () => ({ ok: true, parts: { store: 'ok' } }),
    processor: () => ({ ok: true }),
    logger: quiet,
    ...options,
  });
  return { app, view, metrics };
}
