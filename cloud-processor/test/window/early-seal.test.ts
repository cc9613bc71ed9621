import { epochMs, type GatewayName, type LateRow, type LiveWindowRow, type WindowRow } from '@floorwatch/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { WindowConfig } from '../../src/window/window-config.ts';
import { WindowOperator } from '../../src/window/window-operator.ts';
import { BASE, GATEWAY, Kept, MINUTE, rollups, SENSORS, type TestReading, windowConfig } from '../support/floor.ts';

const HOUR = 60 * MINUTE;
const FAR = epochMs(BASE + 1_000 * HOUR);
const reading = (at: number, sensor = 0, value = 1): TestReading => ({ sensor, at: BASE + at, value });

const keyOf = ({ sensor, size, start }: Pick<WindowRow, 'sensor' | 'size' | 'start'>): string =>
  [sensor.gateway, sensor.device, sensor.metric, size, start].join(' ');

/** Windows as a store has them that does at once what it is told to. */
class Floor {
  readonly stored = new Map<string, WindowRow>();
  readonly expected = new Map<string, number>();
  readonly #config: WindowConfig;
  readonly #out = new Kept<LateRow | WindowRow>();
  readonly #numbers = new Map<string, number>();
  operator: WindowOperator;

  constructor(config: WindowConfig) {
    this.#config = config;
    this.operator = new WindowOperator(config);
  }

  /** One record of a gateway; what it makes is stored, and what is late corrects what is stored. */
  merge(readings: readonly TestReading[], gateway = GATEWAY): void {
    const number = (this.#numbers.get(gateway.gateway) ?? 0) + 1;
    this.#numbers.set(gateway.gateway, number);
    for (const { sensor, at } of readings) {
      for (const size of this.#config.sizes) {
        const start = epochMs(Math.floor(at / size) * size);
        const key = keyOf({ sensor: { ...gateway, ...SENSORS[sensor]! }, size, start });
        this.expected.set(key, (this.expected.get(key) ?? 0) + 1);
      }
    }
    this.operator.merge(gateway, SENSORS, rollups(number, readings), 1, this.#out);
    this.#store();
  }

  advance(at: number, gateway = GATEWAY): void {
    this.operator.advance(gateway, epochMs(at), this.#out);
    this.#store();
  }

  restart(): void {
    this.operator = new WindowOperator(this.#config, structuredClone(this.operator.snapshot()));
  }

  #store(): void {
    for (const row of this.#out.items.splice(0)) {
      if (row.table !== 'window') continue;
      if (this.stored.has(keyOf(row))) throw new Error(`sealed twice: ${keyOf(row)}`);
      this.stored.set(keyOf(row), row);
    }
    const late = this.operator.lateWindows;
    for (const { sensor, size, starts } of late.groups()) {
      for (const start of starts) {
        const name = { sensor, size, start } as WindowRow;
        const corrected = late.correct(sensor, size, start, this.stored.get(keyOf(name)));
        if (corrected !== undefined) this.stored.set(keyOf(name), corrected);
      }
    }
  }

  /** Readings of every window that is stored. */
  get counts(): Map<string, number> {
    return new Map(Array.from(this.stored.values(), (row) => [keyOf(row), row.aggregate.n]));
  }
}

const other: GatewayName = { site: 'plant-1', gateway: 'gw-2' };

describe('more open windows than there is room for', () => {
  it('a day of allowed lateness loses no reading: the oldest windows are sealed early', () => {
    const floor = new Floor(windowConfig({ allowedLateness: (24 * HOUR) as never, openWindowsMax: 600 }));
    let mostOpen = 0;
    for (let minute = 0; minute < 10 * 60; minute += 1) {
      const now = minute * MINUTE;
      floor.merge([reading(now), reading(now + 10_000, 1), reading(now + 59_999, 2)]);
      // One of each hour comes seven hours late.
      if (minute % 60 === 0 && minute > 7 * 60) floor.merge([reading(now - 7 * HOUR, 0, 5)]);
      floor.advance(BASE + now);
      mostOpen = Math.max(mostOpen, floor.operator.openWindows);
    }
    expect(mostOpen).toBeLessThanOrEqual(600);
    expect(mostOpen).toBeGreaterThan(550);
    expect(floor.operator.shared.sealedEarly).toBeGreaterThan(1_000);
    floor.advance(FAR);
    expect(floor.counts).toEqual(floor.expected);
    expect([...floor.operator.shared.refusedReadings]).toEqual([]);
    expect([...floor.stored.values()].filter((row) => row.incomplete)).toEqual([]);
  });

  it('readings of each window equal the ledger, whatever comes in whatever order, across restarts', () => {
    const at = fc.integer({ min: 0, max: 3 * HOUR });
    const gateway = fc.constantFrom(GATEWAY, other);
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant('merge' as const),
          gateway,
          readings: fc.array(fc.tuple(at, fc.nat(2)), { minLength: 1, maxLength: 6 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const), gateway, at }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 0, max: 40 }), (steps, openWindowsMax) => {
        const floor = new Floor(windowConfig({ openWindowsMax, allowedLateness: HOUR as never }));
        for (const one of steps) {
          if (one.kind === 'restart') floor.restart();
          else if (one.kind === 'advance') floor.advance(BASE + one.at, one.gateway);
          else
            floor.merge(
              one.readings.map(([time, sensor]) => reading(time, sensor)),
              one.gateway,
            );
        }
        for (const name of [GATEWAY, other]) floor.advance(FAR, name);
        expect(floor.counts).toEqual(floor.expected);
      }),
      { numRuns: 300 },
    );
  });

  it('the gateway with most of them gives way', () => {
    const floor = new Floor(
      windowConfig({ sizes: [MINUTE as never], openWindowsMax: 20, allowedLateness: HOUR as never }),
    );
    floor.merge([reading(0)], other);
    for (let minute = 0; minute < 60; minute += 1) floor.merge([reading(minute * MINUTE)]);
    const open = (name: GatewayName): readonly LiveWindowRow[] =>
      floor.operator.open({ ...name, ...SENSORS[0] }, MINUTE as never);
    expect(open(other)).toHaveLength(1);
    expect(
      open(GATEWAY)
        .map(({ start }) => (start - BASE) / MINUTE)
        .at(-1),
    ).toBe(59);
  });

  it('a record that opens more than there is room for is merged as a whole', () => {
    const floor = new Floor(windowConfig({ openWindowsMax: 2 }));
    // Two buckets of one window, with windows between them that have no room.
    floor.merge([reading(0), reading(5 * MINUTE, 1), reading(HOUR, 2), reading(10_000)]);
    floor.advance(FAR);
    expect(floor.counts).toEqual(floor.expected);
  });

  it('what was lost marks windows that were sealed early, too', () => {
    const operator = new WindowOperator(
      windowConfig({ sizes: [MINUTE as never], openWindowsMax: 2, allowedLateness: HOUR as never }),
    );
    const out = new Kept<LateRow | WindowRow>();
    for (let minute = 0; minute < 6; minute += 1)
      operator.merge(GATEWAY, SENSORS, rollups(minute + 1, [reading(minute * MINUTE)]), 1, out);
    const sealed = out.items.filter((row) => row.table === 'window');
    expect(sealed.map(({ start }) => (start - BASE) / MINUTE)).toEqual([0, 1, 2, 3]);
    operator.lose(GATEWAY, [BASE + MINUTE, BASE + 10 * MINUTE]);
    expect(operator.losses().map(({ range }) => range)).toEqual([[BASE + MINUTE, BASE + 4 * MINUTE - 1]]);
    // Nobody knows which: sealed next, and marked for it.
    operator.lose(GATEWAY, null);
    operator.merge(GATEWAY, SENSORS, rollups(7, [reading(20 * MINUTE), reading(21 * MINUTE)]), 1, out);
    expect(out.items.slice(4).map((row) => row.table === 'window' && row.incomplete)).toEqual([true, true]);
  });
});
