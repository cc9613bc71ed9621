import {
  type EpochMs,
  epochMs,
  hashText,
  type HashSum,
  type SensorName,
  sensorKey,
  sizeLabel,
} from '@floorwatch/contracts';

import { aggregateAt, CELLS, hashAt } from '../window/cells.ts';
import { orderOf } from '../window/record-order.ts';
import { rowKey } from '../write/row-key.ts';
import type { Store } from '../write/store.ts';
import { EvidenceComparer, type Explained } from './compare-evidence.ts';
import { type GatewayCut, lostBehind } from './cut.ts';
import type { Counted, Difference } from '@floorwatch/contracts/api';
import {
  differingFigure,
  type SensorTally,
  type SizeTally,
  StretchTally,
  throughOfRow,
  windowKey,
} from './stretch-tally.ts';
import type { SizeGroup } from './stretches.ts';

/** What the comparison of stretches has added up so far. */
export interface ReadingCounts {
  told: number;
  hours: number;
  windows: number;
  inFlight: number;
  uncounted: number;
  unhashed: number;
  lost: number;
}

/** Compares what one gateway told of its accepted readings with its windows, stretch by stretch. */
export class ReadingComparer {
  readonly counts: ReadingCounts = { told: 0, hours: 0, windows: 0, inFlight: 0, uncounted: 0, unhashed: 0, lost: 0 };
  readonly #cut: GatewayCut;
  readonly #store: Pick<Store, 'scan'>;
  readonly #report: (difference: Difference) => void;
  readonly #evidence: EvidenceComparer;

  constructor(cut: GatewayCut, store: Pick<Store, 'scan'>, report: (difference: Difference) => void) {
    this.#cut = cut;
    this.#store = store;
    this.#report = report;
    this.#evidence = new EvidenceComparer(cut, report);
  }

  /** Compares the stretches in [from, to). In memory is held something for every sensor and stretch. */
  async compare(group: SizeGroup, from: number, to: number, signal: AbortSignal): Promise<void> {
    const tallies = await this.#tally(group, from, to, signal);
    // Also those of which nothing is stored: the processor may have taken something.
    for (let start = from; start < to; start += group.length) {
      const tally = tallies.get(start);
      tally?.finish();
      const explained = new Map(
        group.sizes.filter((size) => this.#isMade(size, start)).map((size) => [size, { n: 0, hash: 0 }]),
      );
      const end = start + group.length;
      for (const sensor of tally?.sensors.values() ?? []) this.#judge(sensor, explained, start, end);
      for (const [size, missing] of explained) this.#evidence.compare(tally, size, start, end, missing);
    }
  }

  /** Whether windows of that size were made when readings of the stretch came. */
  #isMade(size: number, start: number): boolean {
    const from = this.#cut.windows?.completeFrom.find(([known]) => known === size)?.[1];
    return from !== undefined && from <= start;
  }

  async #tally(
    { length, sizes }: SizeGroup,
    begin: number,
    end: number,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, StretchTally>> {
    const { site, gateway, through: cutThrough, unsent, windows } = this.#cut;
    const isIn = (size: number, at: number): boolean => at >= begin && at < end && sizes.includes(size);
    const tallies = new Map<number, StretchTally>();
    const tallyAt = (at: number): StretchTally => {
      const start = Math.floor(at / length) * length;
      let tally = tallies.get(start);
      if (tally === undefined) {
        tally = new StretchTally();
        tallies.set(start, tally);
      }
      return tally;
    };
    for (const late of this.#cut.late) if (isIn(late.size, late.start)) tallyAt(late.start).late(late);
    const known = new Set<string>();
    for (const pane of windows?.panes ?? []) {
      if (!isIn(pane.size, pane.start)) continue;
      const incomplete = windows?.lost.some(([from, to]) => from < pane.start + pane.size && to >= pane.start) === true;
      for (const [row, slot] of pane.slots.entries()) {
        const sensor = windows!.sensors[slot]!;
        known.add(windowKey(sensor, pane.size, pane.start));
        const cells = { aggregate: aggregateAt(pane.cells, row * CELLS), hash: hashAt(pane.cells, row * CELLS) };
        tallyAt(pane.start).window({
          sensor,
          size: pane.size,
          start: pane.start,
          through: pane.through[row]!,
          incomplete,
          ...cells,
        });
      }
    }
    for (const row of unsent.windows) {
      if (!isIn(row.size, row.start)) continue;
      known.add(windowKey(row.sensor, row.size, row.start));
      tallyAt(row.start).window({ ...row, hash: row.hash, through: throughOfRow(row) });
    }
    const range = { site, gateway, from: epochMs(begin), to: epochMs(end) };
    await this.#store.scan(
      { table: 'window', ...range },
      (row) => {
        if (!isIn(row.size, row.start) || known.has(windowKey(row.sensor, row.size, row.start))) return;
        const through = throughOfRow(row);
        tallyAt(row.start).window({ ...row, hash: row.hash, through, isNewer: through > cutThrough });
      },
      signal,
    );
    const told = new Set<string>();
    for (const row of unsent.counted) {
      if (row.hour < begin || row.hour >= end) continue;
      told.add(rowKey(row));
      tallyAt(row.hour).told(row);
    }
    await this.#store.scan(
      { table: 'counted', ...range },
      (row) => {
        if (told.has(rowKey(row))) return;
        told.add(rowKey(row));
        const tally = tallyAt(row.hour);
        if (orderOf(row.through) > cutThrough) tally.sensor(row.sensor).toldLater = true;
        tally.told(row);
      },
      signal,
    );
    return tallies;
  }

  /** @param explained by size, what is reported of single sensors. */
  #judge(sensor: SensorTally, explained: ReadonlyMap<number, Explained>, start: number, end: number): void {
    const { counts } = this;
    const { told } = sensor;
    const tick = this.#cut.ledger?.tick;
    const tickOrder = tick === null || tick === undefined ? 0 : orderOf(tick);
    const sizes = [...explained.keys()];
    const held = sizes.flatMap((size) => sensor.sizes.get(size) ?? []);
    // Something has come that the gateway has not told yet. It can only be more than was told: what is less is missing.
    const isUntold = held.some(({ through }) => through > tickOrder);
    const isLess = told !== undefined && sizes.some((size) => (sensor.sizes.get(size)?.n ?? 0) < told.n);
    if (sensor.toldLater || (isUntold && !isLess)) counts.inFlight += 1;
    else if (!this.#isCounted(start)) counts.uncounted += 1;
    else if (told === undefined) this.#untold(sensor, held, start, end);
    // More than was told, and what was told may be out of date.
    else if (!isUntold && held.some(({ n }) => n > told.n) && lostBehind(this.#cut, told.through))
      counts.uncounted += 1;
    else this.#compare({ ...sensor, told }, explained, isUntold, start, end);
  }

  /** Compares what was told of one sensor; where something came behind it, windows may have more. */
  #compare(
    sensor: SensorTally & { readonly told: NonNullable<SensorTally['told']> },
    explained: ReadonlyMap<number, Explained>,
    mayBeMore: boolean,
    start: number,
    end: number,
  ): void {
    const { counts } = this;
    const { told } = sensor;
    counts.hours += 1;
    counts.told += told.n;
    let isEqual = true;
    let missing = 0;
    for (const [size, reported] of explained) {
      const windows = sensor.sizes.get(size);
      const n = windows?.n ?? 0;
      counts.windows += windows?.windows ?? 0;
      if (windows !== undefined && n === told.n && isSame(windows.hash, told.hash)) continue;
      isEqual = false;
      if (n < told.n && this.#isLost(start, end)) missing = Math.max(missing, told.n - n);
      else if (n < told.n || !mayBeMore) {
        this.#differ(sensor, size, windows, start, end);
        reported.n += told.n - n;
        reported.hash += told.hash.low - (windows?.hash.low ?? 0);
      }
    }
    counts.lost += missing;
    const sizes = [...explained.keys()];
    if (sizes.some((size) => Number.isNaN(sensor.sizes.get(size)?.hash.low ?? 0))) counts.unhashed += 1;
    if (isEqual) this.#compareValues(sensor, sizes, start, end);
  }

  /** Whether the gateway counted all of its readings at that time. */
  #isCounted(start: number): boolean {
    const counters = this.#cut.ledger?.counters ?? [];
    // Which of them took a reading is not known, so all must have been complete.
    return counters.every(([, completeFrom]) => completeFrom === null || completeFrom <= start);
  }

  #isLost(start: number, end: number): boolean {
    return (this.#cut.ledger?.lost ?? []).some(
      ({ lane, unknown, eventTimes }) =>
        lane === 'telemetry' && (unknown || (eventTimes !== null && eventTimes[0] < end && eventTimes[1] >= start)),
    );
  }

  #untold(sensor: SensorTally, held: readonly SizeTally[], start: number, end: number): void {
    // The ticks that told it may be among the numbers that were lost.
    if (lostBehind(this.#cut, 0)) {
      this.counts.uncounted += 1;
      return;
    }
    const [first] = held;
    const isNever = (this.#cut.ledger?.counters.length ?? 0) === 0;
    this.#add('untold', sensor.name, null, start, end, {
      told: null,
      stored: first === undefined ? null : { n: first.n, hash: hashText(first.hash) ?? null },
      finding: `windows hold ${first?.n ?? 0} readings of which the gateway told nothing`,
      cause: isNever
        ? 'the gateway runs a release that does not count what it accepts'
        : 'the row in "counted" is gone, or the gateway lost its data folder in this hour, or a window belongs to no reading of it',
      remedy: isNever
        ? 'update the agent; what comes from then on can be verified'
        : 'look whether the gateway was set up anew then, and who else writes to the store',
    });
  }

  #differ(sensor: SensorTally, size: number, windows: SizeTally | undefined, start: number, end: number): void {
    const told = sensor.told!;
    const n = windows?.n ?? 0;
    const more = n > told.n;
    const others = `windows of ${sizeLabel(size)} hold ${n} readings, the gateway accepted ${told.n}`;
    this.#add('readings', sensor.name, size, start, end, {
      told: shown(told),
      stored: { n, hash: windows === undefined ? null : (hashText(windows.hash) ?? null) },
      finding:
        n === told.n
          ? `windows of ${sizeLabel(size)} hold ${n} readings, but not the ${told.n} that were accepted`
          : others,
      cause: more
        ? 'a window is stored twice or was changed, or the gateway lost its data folder in this hour'
        : n === told.n
          ? 'a window or the row in "counted" was changed'
          : 'windows were removed or changed, or the store has refused them (dead letters)',
      remedy: `look at the windows of that time, and at "dead-letters list"; "reprocess" over that time makes windows again from what the stream holds`,
    });
  }

  /** Over equal readings, windows of all sizes must say the same. */
  #compareValues(sensor: SensorTally, sizes: readonly number[], start: number, end: number): void {
    const held = sizes.flatMap((size) => {
      const aggregate = sensor.sizes.get(size)?.aggregate;
      return aggregate === undefined ? [] : [{ size, aggregate }];
    });
    for (const one of held) {
      const others = held.filter((other) => other !== one);
      const figures = others.map((other) => differingFigure(other.aggregate, one.aggregate));
      const [figure] = figures;
      // Whoever agrees with none of the others is the wrong one; of two, both may be.
      if (figure === undefined || figures.includes(undefined)) continue;
      this.#add('values', sensor.name, one.size, start, end, {
        told: null,
        stored: { n: one.aggregate.n, hash: null },
        finding: `windows of ${sizeLabel(one.size)} say another ${figure} than those of ${others.map(({ size }) => sizeLabel(size)).join(' and ')}`,
        cause: 'a window was changed',
        remedy: 'reprocess that time: "reprocess" makes windows again from what the stream holds',
      });
    }
  }

  #add(
    kind: Difference['kind'],
    sensor: SensorName,
    size: number | null,
    from: number,
    to: number,
    rest: Pick<Difference, 'told' | 'stored' | 'finding' | 'cause' | 'remedy'>,
  ): void {
    const { site, gateway } = this.#cut;
    const when: Readonly<Record<'from' | 'to', EpochMs>> = { from: epochMs(from), to: epochMs(to) };
    const label = size === null ? null : sizeLabel(size);
    this.#report({ kind, site, gateway, sensor: sensorKey(sensor), size: label, ...when, ...rest });
  }
}

const isSame = (a: Readonly<HashSum>, b: Readonly<HashSum>): boolean =>
  Number.isNaN(a.low) || Number.isNaN(b.low) || (a.high === b.high && a.low === b.low);

const shown = ({ n, hash }: { readonly n: number; readonly hash: HashSum }): Counted => ({
  n,
  hash: hashText(hash) ?? null,
});
