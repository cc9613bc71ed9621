import {
  type Collector,
  durationMs,
  type EpochMs,
  epochMs,
  type GatewayName,
  type LateRow,
  type LiveWindowRow,
  type RecordPlace,
  rollupHashes,
  type RollupSensor,
  type RollupsRecord,
  rollupStart,
  sensorId,
  type WindowRow,
} from '@floorwatch/contracts';

import { aggregateAt, CELLS, hashAt, loadRollup, movingAt, readingsOf } from './cells.ts';
import { LostRanges, type LostRange } from './lost-ranges.ts';
import { Pane, type PaneSnapshot } from './pane.ts';
import { type GatewayReach, Reach, reachOf, type ReachStep } from './reach.ts';
import { orderOf, placeOf } from './record-order.ts';
import { SensorSlots } from './sensor-slots.ts';
import type { WindowConfig, WindowShared } from './window-config.ts';

/** A gateway's windows as they are saved. Instants are epoch milliseconds. */
export interface GatewaySnapshot extends GatewayName {
  readonly watermark: number | null;
  readonly sealedTo: number;
  readonly newestEnd: number;
  readonly lostSince: number | null;
  readonly lost: readonly LostRange[];
  /** Where sealed windows are to be marked incomplete. */
  readonly lostSealed: readonly LostRange[];
  /** Per window size the instant before which a window of that size may lack readings, because the size was not yet configured. */
  readonly completeFrom: readonly (readonly [size: number, from: number])[];
  /** Per window size up to where its windows are sealed, if that is further than `sealedTo`. */
  readonly sealedEarly: readonly (readonly [size: number, to: number])[];
  /** See {@link GatewayWindows.recover}. */
  readonly recoverFrom: number | null;
  readonly recoveredTo: number | null;
  /** See `Reach`. */
  readonly reach: readonly ReachStep[];
  /** By slot. */
  readonly sensors: readonly RollupSensor[];
  readonly panes: readonly PaneSnapshot[];
}

/** The open windows of one size. */
interface Track {
  readonly size: number;
  readonly completeFrom: number;
  /** Windows of this size that end by then have been emitted and are gone. At least the gateway's `#sealedTo`. */
  sealedTo: number;
  readonly panes: Map<number, Pane>;
  /** The pane used last: consecutive rollups mostly fall into the same one. */
  current: Pane | undefined;
}

/** Before every instant that a record can hold. */
const BEGINNING = Number.MIN_SAFE_INTEGER;

/** One rollup on its way into its windows; reused, because nothing here waits. */
const rollup = new Float64Array(CELLS);

/**
 * The tumbling windows [start, end) of one gateway. They live by the gateway's own watermark alone: a gateway that was away for a day
 * is not late by its own clock.
 *
 * Invariant: every window whose end is at most `#sealedTo` = highest watermark − allowed lateness has been emitted and is gone. Where room was
 * short, windows of a size are sealed early, up to its track's `sealedTo`; readings that come for these correct them like any late ones.
 */
export class GatewayWindows {
  readonly name: GatewayName;
  readonly #config: WindowConfig;
  readonly #shared: WindowShared;
  readonly #slots: SensorSlots;
  readonly #lost: LostRanges;
  /** The parts of what was lost that lay behind the seal then, until the windows there are marked. */
  readonly #lostSealed: LostRanges;
  readonly #reach: Reach;
  /** The configured sizes, and behind them those that are no longer configured but still have open windows. */
  readonly #tracks: Track[];
  #watermark: EpochMs | undefined;
  #sealedTo = BEGINNING;
  /** End of the newest bucket merged. */
  #newestEnd = BEGINNING;
  /** Set while readings are missing whose event times are unknown: the instant from which they may be. */
  #lostSince: number | undefined;
  /** Set from {@link recover} to the next tick: the instant from which windows that nobody has stored lack readings. */
  #recoverFrom: number | undefined;
  /** Windows that end by then may have been stored by a processor whose state is lost. */
  #recoveredTo: number | undefined;

  constructor(name: GatewayName, config: WindowConfig, shared: WindowShared, from?: GatewaySnapshot) {
    this.name = { site: name.site, gateway: name.gateway };
    this.#config = config;
    this.#shared = shared;
    this.#slots = new SensorSlots(this.name, config.sensorsPerGatewayMax);
    this.#lost = new LostRanges(config.lostRangesPerGatewayMax, from?.lost);
    this.#lostSealed = new LostRanges(config.lostRangesPerGatewayMax, from?.lostSealed);
    this.#reach = new Reach(from?.reach);
    if (from !== undefined) {
      this.#watermark = from.watermark === null ? undefined : epochMs(from.watermark);
      this.#sealedTo = from.sealedTo;
      this.#newestEnd = from.newestEnd;
      this.#lostSince = from.lostSince ?? undefined;
      this.#recoverFrom = from.recoverFrom ?? undefined;
      this.#recoveredTo = from.recoveredTo ?? undefined;
      for (const sensor of from.sensors) this.#slots.slotOf(sensor);
    }
    this.#tracks = this.#makeTracks(from);
  }

  #makeTracks(from: GatewaySnapshot | undefined): Track[] {
    const known = new Map(from?.completeFrom);
    const early = new Map(from?.sealedEarly);
    const configured = this.#config.sizes.map((size): Track => {
      // Of a size that is new since the last run, windows that began before now lack what was merged until now.
      const completeFrom = known.get(size) ?? (from === undefined ? BEGINNING : this.#newestEnd);
      return { size, completeFrom, sealedTo: early.get(size) ?? this.#sealedTo, panes: new Map(), current: undefined };
    });
    const left = from?.panes.map(({ size }) => size).filter((size) => !this.#config.sizes.some((s) => s === size));
    // Windows of a size that is no longer configured lack what comes from now on.
    const dropped = Array.from(new Set(left), (size): Track => {
      const completeFrom = Number.MAX_SAFE_INTEGER;
      return { size, completeFrom, sealedTo: this.#sealedTo, panes: new Map(), current: undefined };
    });
    const tracks = [...configured, ...dropped];
    for (const snapshot of from?.panes ?? []) {
      const pane = Pane.restore(snapshot);
      tracks.find((track) => track.size === pane.size)?.panes.set(pane.start, pane);
      this.#shared.openWindows += pane.rows;
    }
    return tracks;
  }

  /** Open windows, and the memory that they take. */
  get size(): { readonly windows: number; readonly bytes: number } {
    let [windows, bytes] = [0, 0];
    for (const { panes } of this.#tracks) {
      for (const pane of panes.values()) {
        windows += pane.rows;
        bytes += pane.bytes;
      }
    }
    return { windows, bytes };
  }

  get reach(): GatewayReach {
    return { steps: this.#reach.all(), newest: this.#reachNow() ?? Infinity };
  }

  /** Undefined while readings are missing of which the next record says up to where they may be. */
  #reachNow(): number | undefined {
    if (this.#lostSince !== undefined || this.#recoverFrom !== undefined) return undefined;
    return reachOf(this.#newestEnd, this.#watermark ?? -Infinity, this.#lost.all());
  }

  /** A record of this gateway has been applied. */
  noteReach(place: RecordPlace): void {
    const reach = this.#reachNow();
    if (reach !== undefined) this.#reach.note(orderOf(place), reach);
  }

  get watermark(): EpochMs | undefined {
    return this.#watermark;
  }

  /**
   * Merges a checked record into the open windows. Readings behind the seal wait to correct their window, and are counted in `out`.
   *
   * @param run see `RecordPlace`.
   */
  merge(sensors: readonly RollupSensor[], record: RollupsRecord, run: number, out: Collector<LateRow>): void {
    const { length } = record.columns.sensor;
    if (this.#config.sizes.some((size) => size % record.bucketMs !== 0)) {
      for (let index = 0; index < length; index++) this.#refuse('bucket', record.columns.n[index]!);
      return;
    }
    if (this.#slots.full) this.#dropUnusedSlots();
    const slots = this.#slots.slotsOf(sensors);
    const order = orderOf({ run, number: record.number });
    const hashes = rollupHashes(record);
    for (let index = 0; index < length; index++) {
      const slot = slots[record.columns.sensor[index]!]!;
      const start = rollupStart(record, index);
      loadRollup(record, hashes, index, start, rollup);
      if (slot < 0) this.#refuse('too-many-sensors', readingsOf(rollup));
      else if (!isInstant(start)) this.#refuse('impossible-time', readingsOf(rollup));
      else this.#mergeLoaded(slot, start, order, out);
      if (start + record.bucketMs > this.#newestEnd && isInstant(start)) this.#newestEnd = start + record.bucketMs;
    }
    if (this.#lostSince !== undefined) {
      this.#lost.add(this.#lostSince, this.#newestEnd);
      this.#lostSince = undefined;
    }
  }

  #mergeLoaded(slot: number, at: number, order: number, out: Collector<LateRow>): void {
    for (let index = 0; index < this.#config.sizes.length; index++) {
      const track = this.#tracks[index]!;
      const { current } = track;
      // Nearly all end here. What is sealed is no longer the current one.
      if (current !== undefined && at >= current.start && at < current.end && current.merge(slot, rollup, order))
        continue;
      const start = Math.floor(at / track.size) * track.size;
      if (start + track.size <= track.sealedTo) {
        this.#late(slot, track, start, order, out);
        continue;
      }
      let pane = track.panes.get(start);
      if (pane !== undefined) track.current = pane;
      if (pane?.merge(slot, rollup, order) === true) continue;
      pane ??= this.#openPane(track, start);
      pane.add(slot, rollup, order);
      this.#shared.openWindows++;
    }
  }

  #openPane(track: Track, start: number): Pane {
    // Most sensors report in every window, so the pane before tells how large this one becomes.
    const pane = new Pane(track.size, start, track.current?.rows ?? 0);
    track.panes.set(start, pane);
    track.current = pane;
    return pane;
  }

  #late(slot: number, track: Track, start: number, order: number, out: Collector<LateRow>): void {
    const { size } = track;
    const sensor = this.#slots.ref(slot);
    const late = readingsOf(rollup);
    const incomplete =
      start < track.completeFrom || this.#recoverFrom !== undefined || this.#lost.touch(start, start + size);
    this.#shared.lateWindows.add({ sensor, unit: this.#slots.unit(slot), size, start, incomplete }, order, rollup);
    // How many were late before is not known any more.
    if (start + size <= (this.#recoveredTo ?? -Infinity)) return;
    const readings = this.#shared.late.add(`${sensorId(sensor)}\n${size}\n${start}`, late);
    this.#shared.countLate(this.name, size, late);
    out.emit({ table: 'late', sensor, size: durationMs(size), start: epochMs(start), readings });
  }

  #refuse(reason: string, readings: number): void {
    this.#shared.countRefused(reason, readings);
  }

  /**
   * Moves the watermark, which never goes back, and emits the windows that it seals: size by size, oldest first, in the order in
   * which their sensors first reported.
   */
  advance(watermark: EpochMs, out: Collector<WindowRow>): void {
    if (this.#recoverFrom !== undefined) {
      this.#lost.add(this.#recoverFrom, Math.max(this.#newestEnd, watermark));
      this.#recoverFrom = undefined;
    }
    if (this.#watermark !== undefined && watermark <= this.#watermark) return;
    this.#watermark = watermark;
    if (this.#lostSince !== undefined) this.#lost.add(this.#lostSince, Math.max(this.#newestEnd, watermark));
    const sealedTo = watermark - this.#config.allowedLateness;
    if (sealedTo <= this.#sealedTo) return;
    this.#sealedTo = sealedTo;
    for (const track of this.#tracks) {
      const sealed = [...track.panes.values()].filter((pane) => pane.end <= sealedTo).sort((a, b) => a.start - b.start);
      for (const pane of sealed) this.#seal(track, pane, out);
      track.sealedTo = Math.max(track.sealedTo, sealedTo);
    }
    this.#lost.forget(sealedTo - this.#config.lostKept);
  }

  /**
   * Seals the oldest windows, whatever the watermark says, until the partition has at most `windows` open or this gateway has none. Never while a
   * record is being merged: of one that was merged in part, the rest would be taken for known.
   */
  sealOldest(windows: number, out: Collector<WindowRow>): void {
    if (this.#lostSince !== undefined) this.#lost.add(this.#lostSince, this.#newestEnd);
    if (this.#recoverFrom !== undefined) this.#lost.add(this.#recoverFrom, this.#newestEnd);
    const open = this.#tracks.flatMap((track) => Array.from(track.panes.values(), (pane) => ({ track, pane })));
    for (const { track, pane } of open.sort((a, b) => a.pane.end - b.pane.end)) {
      if (this.#shared.openWindows <= windows) return;
      this.#shared.sealedEarly += pane.rows;
      this.#seal(track, pane, out);
      track.sealedTo = pane.end;
    }
  }

  #seal(track: Track, pane: Pane, out: Collector<WindowRow>): void {
    const incomplete = pane.start < track.completeFrom || this.#lost.touch(pane.start, pane.end);
    for (let row = 0; row < pane.rows; row++) {
      out.emit(this.#sealed(pane, row, incomplete));
    }
    track.panes.delete(pane.start);
    if (track.current === pane) track.current = undefined;
    this.#shared.openWindows -= pane.rows;
  }

  /** Readings are lost. `range`: between which event times, both ends included; null: nobody knows. */
  lose(range: LostRange | null): void {
    if (range === null) {
      this.#lostSince ??= this.#sealedTo;
      this.#loseSealed(this.#sealedTo, Infinity);
      return;
    }
    const [from, to] = range;
    this.#lost.add(from, to);
    this.#loseSealed(from, to);
  }

  /**
   * Records are gone that were safe once: a processor before has counted them, and its state is lost. Windows that it may have stored are not made
   * again from the rest: those that are open are sealed, and what comes for them corrects what is stored, or begins an incomplete window if nothing is.
   *
   * @param storedTo windows that end by then may be stored; undefined: none are.
   */
  recover(storedTo: number | undefined, out: Collector<WindowRow>): void {
    this.#recoverFrom ??= this.#sealedTo;
    this.#lost.add(this.#recoverFrom, Math.max(this.#newestEnd, this.#watermark ?? BEGINNING));
    if (storedTo === undefined || storedTo <= (this.#recoveredTo ?? -Infinity)) return;
    this.#recoveredTo = storedTo;
    for (const track of this.#tracks) {
      const stored = [...track.panes.values()].filter((pane) => pane.end <= storedTo);
      for (const pane of stored.sort((a, b) => a.start - b.start)) this.#seal(track, pane, out);
      track.sealedTo = Math.max(track.sealedTo, storedTo);
    }
  }

  /** Windows that are sealed by now are marked where they are stored. */
  #loseSealed(from: number, to: number): void {
    const isAnySealed = this.#tracks.some(({ size, sealedTo }) => Math.floor(from / size) * size + size <= sealedTo);
    if (!isAnySealed) return;
    const lastSealed = Math.min(to, Math.max(...this.#tracks.map(({ sealedTo }) => sealedTo)) - 1);
    if (lastSealed - from < this.#config.lostSealedMax) this.#lostSealed.add(from, lastSealed);
    else this.#shared.lossesTooLong++;
  }

  /** Where sealed windows are to be marked incomplete, and of which sizes they are. */
  get lostSealed(): { readonly ranges: readonly LostRange[]; readonly sizes: readonly number[] } {
    return { ranges: this.#lostSealed.all(), sizes: this.#tracks.map(({ size }) => size) };
  }

  /** Sealed windows in `range` are to be marked once more. */
  markAgain(range: LostRange): void {
    this.#lostSealed.add(range[0], range[1]);
  }

  /** The sealed windows in `range` are marked. */
  marked(range: LostRange): void {
    this.#lostSealed.remove(range);
  }

  /** The open windows of one sensor and size, oldest first. */
  open(device: string, metric: string, size: number): LiveWindowRow[] {
    const slot = this.#slots.find(device, metric);
    const track = this.#tracks.find((candidate) => candidate.size === size);
    if (slot === undefined || track === undefined) return [];
    return [...track.panes.values()]
      .sort((a, b) => a.start - b.start)
      .flatMap((pane) => {
        const row = pane.rowOf(slot);
        return row < 0 ? [] : [{ table: 'window_live' as const, ...this.#fields(pane, row) }];
      });
  }

  /** Moves at most `max` windows that changed since they were last taken into `into`. */
  takeChanged(max: number, into: LiveWindowRow[]): void {
    const end = into.length + max;
    for (const track of this.#tracks) {
      for (const pane of track.panes.values()) {
        pane.takeChanged(end - into.length, (row) => into.push({ table: 'window_live', ...this.#fields(pane, row) }));
      }
    }
  }

  #sealed(pane: Pane, row: number, incomplete: boolean): WindowRow {
    const order = pane.throughAt(row);
    const slot = pane.slotAt(row);
    const unit = this.#slots.unit(slot);
    const hash = hashAt(pane.cells, row * CELLS);
    if (unit === undefined || hash === undefined || order === 0) {
      const through = order === 0 ? {} : { through: placeOf(order) };
      return { table: 'window', ...this.#fields(pane, row), revision: 0, ...through, incomplete };
    }
    // Nearly all have everything, and an object in one go costs a fraction of one that is put together.
    return {
      table: 'window',
      sensor: this.#slots.ref(slot),
      unit,
      size: durationMs(pane.size),
      start: epochMs(pane.start),
      aggregate: aggregateAt(pane.cells, row * CELLS),
      moving: movingAt(pane.cells, row * CELLS),
      hash,
      revision: 0,
      through: placeOf(order),
      incomplete,
    };
  }

  #fields(pane: Pane, row: number): Omit<LiveWindowRow, 'table'> {
    const slot = pane.slotAt(row);
    const unit = this.#slots.unit(slot);
    const hash = hashAt(pane.cells, row * CELLS);
    return {
      sensor: this.#slots.ref(slot),
      ...(unit === undefined ? {} : { unit }),
      size: durationMs(pane.size),
      start: epochMs(pane.start),
      aggregate: aggregateAt(pane.cells, row * CELLS),
      moving: movingAt(pane.cells, row * CELLS),
      ...(hash !== undefined && { hash }),
    };
  }

  /** A copy of everything, which later changes do not touch. */
  snapshot(): GatewaySnapshot {
    const early = this.#tracks
      .filter(({ sealedTo }) => sealedTo > this.#sealedTo)
      .map(({ size, sealedTo }) => [size, sealedTo] as const);
    return {
      ...this.name,
      watermark: this.#watermark ?? null,
      sealedTo: this.#sealedTo,
      newestEnd: this.#newestEnd,
      lostSince: this.#lostSince ?? null,
      lost: this.#lost.all(),
      lostSealed: this.#lostSealed.all(),
      completeFrom: this.#tracks
        .slice(0, this.#config.sizes.length)
        .map((track) => [track.size, track.completeFrom] as const),
      sealedEarly: early,
      recoverFrom: this.#recoverFrom ?? null,
      recoveredTo: this.#recoveredTo ?? null,
      reach: this.#reach.all().slice(),
      sensors: this.#slots.snapshot(),
      panes: this.#tracks.flatMap((track) => [...track.panes.values()].map((pane) => pane.snapshot())),
    };
  }

  /** Names that come and go must not fill the slots for ever: sensors without an open window give theirs back. */
  #dropUnusedSlots(): void {
    const used = new Set<number>();
    const panes = this.#tracks.flatMap((track) => [...track.panes.values()]);
    for (const pane of panes) for (let row = 0; row < pane.rows; row++) used.add(pane.slotAt(row));
    const slotOf = this.#slots.keep(used);
    for (const pane of panes) pane.renumber(slotOf, this.#slots.length);
  }
}

const isInstant = (at: number): boolean => Math.abs(at) <= 8_640_000_000_000_000;
