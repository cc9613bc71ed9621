import { BROKER_AWAY, durationMs, epochMs, type GatewayRow, NO_STATISTICS } from '@floorwatch/contracts';
import { describe, expect, test, vi } from 'vitest';

import { FloorView, restoreView } from '../../src/serve/index.ts';
import { serveLimits } from '../../src/serve/limits.ts';
import { type Store, StoreError } from '../../src/write/store.ts';
import { gatewayRow } from '../write/sample-rows.ts';
import {
  anomalyRow,
  BASE,
  ID,
  makeStore,
  MOVING,
  quiet,
  reading,
  sensor,
  TEMPERATURE,
  windowRow,
  tellRollup,
} from './floor-fixture.ts';

const GATEWAY = { site: 'plant-1', gateway: 'gw-1' };
const SILENT = 60_000;

function makeView() {
  const clock = { now: BASE };
  const view = new FloorView({ silentAfterMs: durationMs(SILENT), now: () => clock.now });
  const hear = (): void => view.heard(GATEWAY, epochMs(clock.now));
  const read = (value: number, at: number, ref = TEMPERATURE): void =>
    tellRollup(view, ref, '°C', at, reading(value, at));
  const only = () => view.sensors({}, 10)[0];
  return { clock, view, hear, read, only };
}

describe('state of a sensor', () => {
  test('is that of its worst open episode, and normal again when all are closed', () => {
    const { view, hear, read, only } = makeView();
    hear();
    read(70, BASE);
    expect(only()).toMatchObject({ id: ID, state: 'normal', last: 70, openAnomalies: 0 });
    view.anomaly(anomalyRow(1));
    expect(only()).toMatchObject({ state: 'warning', openAnomalies: 1 });
    view.anomaly(anomalyRow(2, { severity: 'critical' }));
    expect(only()).toMatchObject({ state: 'critical', openAnomalies: 2 });
    view.anomaly(anomalyRow(3));
    expect(only()).toMatchObject({ state: 'critical', openAnomalies: 3 });
    view.anomaly(anomalyRow(3, { phase: 'closed' }));
    view.anomaly(anomalyRow(2, { severity: 'critical', phase: 'closed' }));
    expect(only()?.state).toBe('warning');
    view.anomaly(anomalyRow(1, { phase: 'closed' }));
    view.anomaly(anomalyRow(1, { phase: 'closed' }));
    expect(only()).toMatchObject({ state: 'normal', openAnomalies: 0 });
    expect(view.counts().openAnomalies).toBe(0);
  });

  test('is unknown when nothing has come of it for an hour and ten usual intervals while its gateway went on, as of what is kept apart for its unit', () => {
    const { view, hear, read, only } = makeView();
    const [minute, hour] = [60_000, 3_600_000];
    hear();
    read(70, BASE);
    view.watermark(GATEWAY, epochMs(BASE + hour));
    expect(only()?.state).toBe('normal');
    view.forgetChanges();
    view.watermark(GATEWAY, epochMs(BASE + hour + 1));
    expect(only()?.state).toBe('unknown');
    expect(view.takeChanged(10)).toMatchObject([{ id: ID, state: 'unknown' }]);
    expect(view.takeChanged(10)).toEqual([]);
    // It reports every half hour, and is due again.
    for (const n of [3, 4, 5]) read(70, BASE + n * 30 * minute);
    view.watermark(GATEWAY, epochMs(BASE + 6 * hour));
    expect(only()?.state).toBe('normal');
    view.watermark(GATEWAY, epochMs(BASE + 60 * hour));
    expect(only()?.state).toBe('unknown');
    // What is known of it counts for more.
    view.anomaly(anomalyRow(1));
    expect(only()?.state).toBe('warning');
  });

  test('is unknown as long as its gateway was never heard', () => {
    const { read, only } = makeView();
    read(70, BASE);
    expect(only()?.state).toBe('unknown');
  });

  test.each([
    [SILENT - 1, 'normal'],
    [SILENT, 'normal'],
    [SILENT + 1, 'unknown'],
  ])('%i ms after its gateway was heard it is %s', (age, state) => {
    const { clock, hear, read, only } = makeView();
    hear();
    read(70, BASE);
    clock.now += age;
    expect(only()?.state).toBe(state);
  });

  test('is unknown, not critical, while its gateway is silent: nobody knows whether it still is', () => {
    const { clock, view, hear, read, only } = makeView();
    hear();
    read(70, BASE);
    view.anomaly(anomalyRow(1, { severity: 'critical' }));
    clock.now += SILENT + 1;
    expect(only()?.state).toBe('unknown');
    hear();
    expect(only()?.state).toBe('critical');
  });
});

test("is unknown while the broker of its gateway is away, as the gateway's report says", () => {
  const { view, hear, read, only } = makeView();
  const report = (counters: Record<string, number>): void => view.gateway(gatewayRow({ ...GATEWAY, counters }));
  hear();
  read(70, BASE);
  report({});
  view.forgetChanges();
  report({ [BROKER_AWAY]: 1 });
  expect(only()?.state).toBe('unknown');
  expect(view.takeChanged(10).map(({ state }) => state)).toEqual(['unknown']);
  report({ [BROKER_AWAY]: 0 });
  expect(view.takeChanged(10).map(({ state }) => state)).toEqual(['normal']);
});

test('an older rollup does not replace the newest reading', () => {
  const { read, only } = makeView();
  read(70, BASE + 20_000);
  read(10, BASE);
  expect(only()).toMatchObject({ last: 70, lastAt: BASE + 20_000 });
});

test('an anomaly may come before the first rollup of its sensor', () => {
  const { view, hear, only } = makeView();
  hear();
  view.anomaly(anomalyRow(1));
  expect(only()).toMatchObject({ id: ID, state: 'warning', last: 91, unit: '°C' });
});

test('a sensor that is expected and was never heard has no value until its first reading', () => {
  const { view, hear, read, only } = makeView();
  hear();
  view.anomaly(anomalyRow(1, { anomalyKind: 'silent', value: 0, before: [], moving: NO_STATISTICS }));
  expect(only()).toMatchObject({ id: ID, state: 'warning', last: null });
  read(70, BASE + 60_000);
  expect(only()).toMatchObject({ last: 70 });
});

test('a gateway that falls silent, or comes back, changes all of its sensors', () => {
  const { clock, view, hear, read } = makeView();
  hear();
  for (const metric of ['a', 'b', 'c']) read(1, BASE, sensor(metric));
  view.forgetChanges();
  expect(view.takeChanged(10)).toEqual([]);
  clock.now += SILENT + 1;
  expect(view.takeChanged(2).map(({ state }) => state)).toEqual(['unknown', 'unknown']);
  expect(view.takeChanged(2).map(({ state }) => state)).toEqual(['unknown']);
  expect(view.takeChanged(2)).toEqual([]);
  hear();
  expect(view.takeChanged(10).map(({ state }) => state)).toEqual(['normal', 'normal', 'normal']);
});

test('lists by id, a page behind another, and by every filter', () => {
  const { view, hear, read } = makeView();
  hear();
  for (const metric of ['b', 'a', 'c']) read(1, BASE, sensor(metric));
  read(1, BASE, sensor('a', 'gw-2'));
  const ids = (list: readonly { id: string }[]): string[] => list.map(({ id }) => id);
  const first = view.sensors({}, 2);
  expect(ids(first)).toEqual(['plant-1/gw-1/press-1/a', 'plant-1/gw-1/press-1/b']);
  expect(ids(view.sensors({ after: 'plant-1/gw-1/press-1/b' }, 2))).toEqual([
    'plant-1/gw-1/press-1/c',
    'plant-1/gw-2/press-1/a',
  ]);
  expect(ids(view.sensors({ gateway: 'gw-2' }, 9))).toEqual(['plant-1/gw-2/press-1/a']);
  expect(ids(view.sensors({ state: 'unknown' }, 9))).toEqual(['plant-1/gw-2/press-1/a']);
  expect(view.sensors({ search: 'PRESS-1/A' }, 9)).toHaveLength(2);
  expect(view.sensors({ site: 'plant-2' }, 9)).toEqual([]);
  expect(ids(view.sensors({ ids: new Set(['plant-1/gw-1/press-1/c']) }, 9))).toEqual(['plant-1/gw-1/press-1/c']);
});

describe('a gateway with more sensors than there is room for', () => {
  function add(view: FloorView, gateway: string, sensors: number): void {
    for (let i = 0; i < sensors; i++) {
      view.anomaly(anomalyRow(1, { phase: 'closed', sensor: { ...sensor(`m${i}`), gateway } }));
    }
  }

  test('gets two thirds of it, leaves the others out, counts them and says so', () => {
    const { view } = makeView();
    expect(view.describeLeftOut()).toBeUndefined();
    add(view, 'gw-1', 33_334);
    expect(view.counts()).toMatchObject({ sensors: 33_334, leftOut: 0, gatewaysCut: 0 });
    add(view, 'gw-1', 33_335);
    expect(view.counts()).toMatchObject({ sensors: 33_334, leftOut: 1, gatewaysCut: 1 });
    expect(view.describeLeftOut()).toContain('sensors of plant-1/gw-1 are not shown');
  });

  test('does not make later gateways invisible: thousands of sensors of theirs are shown', () => {
    const { view, read } = makeView();
    add(view, 'gw-0', 150_000);
    for (let g = 1; g <= 100; g++) add(view, `gw-${g}`, 150);
    read(1, BASE, { ...sensor('last'), gateway: 'gw-101' });
    const [site] = view.sites();
    const shown = new Map(site!.gateways.map(({ gateway, sensors }) => [gateway, sensors]));
    expect(shown.size).toBe(102);
    expect([...shown.values()].filter((sensors) => sensors === 150)).toHaveLength(100);
    expect(shown.get('gw-101')).toBe(1);
    expect(view.counts()).toMatchObject({ gatewaysCut: 1 });
  });

  test('is none with as many as an agent takes by default, nor are two', () => {
    const { view } = makeView();
    for (const gateway of ['gw-1', 'gw-2']) add(view, gateway, 20_000);
    expect(view.counts()).toMatchObject({ sensors: 40_000, leftOut: 0, gatewaysCut: 0 });
  });
});

describe('after a restart', () => {
  const report: GatewayRow = {
    table: 'gateway',
    ...GATEWAY,
    at: epochMs(BASE),
    startedAt: epochMs(BASE - 1_000),
    version: '1.2.3',
    configHash: 'abcdef01',
    clock: 'synchronised',
    sensors: 1,
    counters: { readingsAccepted: 5 },
  };

  test('the store’s newest windows, open episodes and gateways show the floor at once', async () => {
    const { store, remove } = await makeStore();
    try {
      await store.write(
        [
          windowRow(BASE - 120_000, 70),
          windowRow(BASE - 60_000, 72),
          report,
          anomalyRow(1),
          anomalyRow(2, { phase: 'closed' }),
        ],
        AbortSignal.timeout(5_000),
      );
      const { clock, view, only } = makeView();
      clock.now = BASE + 30_000;
      await view.restore(store);
      expect(only()).toMatchObject({ last: 72, unit: '°C', state: 'warning', openAnomalies: 1, moving: MOVING });
      expect(view.sites()).toMatchObject([
        { site: 'plant-1', gateways: [{ heardAt: BASE, report: { version: '1.2.3' } }] },
      ]);
      clock.now = BASE + SILENT + 1;
      expect(only()?.state).toBe('unknown');
    } finally {
      await remove();
    }
  });

  test('what was heard before the store answered is newer and stays', async () => {
    const { view, hear, read, only } = makeView();
    hear();
    read(99, BASE);
    view.anomaly(anomalyRow(1));
    view.anomaly(anomalyRow(1, { phase: 'closed' }));
    await view.restore({
      newestWindows: () => Promise.resolve([windowRow(BASE - 60_000, 70)]),
      gateways: () => Promise.resolve([{ ...report, at: epochMs(BASE - 900_000) }]),
      anomalies: () => Promise.resolve({ items: [anomalyRow(1)], next: null }),
    });
    expect(only()).toMatchObject({ last: 99, state: 'normal', openAnomalies: 0 });
  });

  test('a store that is busy is asked again, one that is damaged is not', async () => {
    const store = {} as Store;
    const answers = [new StoreError('busy', 'out of memory'), new StoreError('unreachable', 'away'), undefined];
    const restore = vi.fn<() => Promise<void>>(async () => {
      const failure = answers.shift();
      if (failure !== undefined) throw failure;
    });
    await restoreView({ restore }, store, quiet, AbortSignal.timeout(5_000), 1);
    expect(restore).toHaveBeenCalledTimes(3);

    answers.push(new StoreError('damaged', 'not a row'));
    await restoreView({ restore }, store, quiet, AbortSignal.timeout(5_000), 1);
    expect(restore).toHaveBeenCalledTimes(4);
  });

  test('old recordings are shown where nothing recent is stored', async () => {
    const { view, only } = makeView();
    const asked: number[] = [];
    await view.restore({
      newestWindows: (since) => {
        asked.push(since);
        return Promise.resolve(since === 0 ? [windowRow(1_386_000_000_000, 80)] : []);
      },
      gateways: () => Promise.resolve([]),
      anomalies: () => Promise.resolve({ items: [], next: null }),
    });
    expect(asked).toEqual([BASE - serveLimits.restoreMs, 0]);
    expect(only()).toMatchObject({ last: 80, state: 'unknown' });
  });
});

test('alarms of a gateway are told with what they mean, one per lane and cause, the newest first', () => {
  const { view } = makeView();
  const alarm = { ...GATEWAY, lane: 'telemetry' as const, epoch: '2-0000000b', firstAt: BASE };
  view.alarm({ ...alarm, cause: 'shorter', lastAt: BASE, count: 1 });
  view.alarm({ ...alarm, cause: 'trimmed', lastAt: BASE + 1, count: 1 });
  view.alarm({ ...alarm, cause: 'shorter', lastAt: BASE + 2, count: 2 });
  const told = view.sites()[0]?.gateways[0]?.alarms;
  const { site: _site, gateway: _gateway, ...common } = alarm;
  expect(told).toMatchObject([
    { ...common, kind: 'identity', lastAt: BASE + 2, count: 2 },
    { ...common, kind: 'trimmed', lastAt: BASE + 1, count: 1 },
  ]);
  expect(told?.every(({ meaning, remedy }) => meaning.length > 0 && remedy.length > 0)).toBe(true);
});
