import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';

import type { Random } from '../../chaos/harness/random.ts';

/** A full hour: 2026-03-02T08:00:00Z. */
export const BASE = 1_772_438_400_000;

interface Timer {
  at: number;
  /** Of two for the same instant the one that was set first is first. */
  order: number;
  run: (() => void) | undefined;
  unref(): Timer;
  ref(): Timer;
}

/**
 * Time that passes only when everything that can be done at an instant is done. While it is installed, timers, clocks and random numbers of
 * this process are those of the simulation, so that a seed decides everything that product code does.
 */
export class VirtualTime {
  /** Milliseconds since the beginning. */
  now = 0;
  /** How far the wall clock is off. */
  wallOffset = 0;
  /** Instants at which something happened. */
  events = 0;
  readonly #random: Random;
  readonly #heap: Timer[] = [];
  #order = 0;
  #restore: (() => void) | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  get wall(): number {
    return BASE + Math.floor(this.now) + this.wallOffset;
  }

  /** Takes the place of the machine's clocks, timers and random numbers until {@link uninstall}. */
  install(): void {
    const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
    const { random } = Math;
    const dateNow = Date.now;
    const { randomBytes } = crypto;
    const { setImmediate } = timersPromises;
    const { stackTraceLimit } = Error;
    // Aborted signals make an error each, and nobody looks at where.
    Error.stackTraceLimit = 0;
    this.#restore = () => {
      Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval });
      Error.stackTraceLimit = stackTraceLimit;
      Math.random = random;
      Date.now = dateNow;
      Reflect.deleteProperty(performance, 'now');
      Object.assign(crypto, { randomBytes });
      Object.assign(timersPromises, { setImmediate });
      syncBuiltinESMExports();
    };
    const stop = (timer: Timer | undefined): void => {
      if (timer !== undefined) timer.run = undefined;
    };
    Object.assign(globalThis, {
      setTimeout: (run: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) =>
        this.after(ms, () => run(...given)),
      clearTimeout: stop,
      setInterval: (run: () => void, ms: number) => this.#every(ms, run),
      clearInterval: stop,
    });
    Math.random = () => this.#random.between(0, 1);
    Date.now = () => this.wall;
    Object.defineProperty(performance, 'now', { value: () => this.now, configurable: true, writable: true });
    Object.assign(crypto, {
      randomBytes: (size: number) => Buffer.from(Array.from({ length: size }, () => this.#random.between(0, 256))),
    });
    Object.assign(timersPromises, { setImmediate: async () => this.sleep(0) });
    syncBuiltinESMExports();
  }

  uninstall(): void {
    this.#restore?.();
    this.#restore = undefined;
  }

  after(ms: number, run: () => void): Timer {
    const timer: Timer = {
      at: this.now + Math.max(0, Number.isFinite(ms) ? ms : 0),
      order: this.#order++,
      run,
      unref: () => timer,
      ref: () => timer,
    };
    this.#push(timer);
    return timer;
  }

  #every(ms: number, run: () => void): Timer {
    const again = (): void => {
      run();
      if (timer.run === undefined) return;
      timer.at = this.now + ms;
      timer.order = this.#order++;
      this.#push(timer);
    };
    const timer = this.after(ms, again);
    return timer;
  }

  async sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Lets time pass until `until` or until `stop` says so. */
  async run(until: number, stop: () => boolean): Promise<void> {
    for (;;) {
      await quiet();
      if (stop()) return;
      const next = this.#heap[0];
      if (next === undefined || next.at > until) break;
      this.#pop();
      if (next.run === undefined) continue;
      this.now = next.at;
      this.events += 1;
      next.run();
    }
    this.now = until;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(timer, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** Resolves when every promise that can go on without time passing has done so. */
const quiet = async (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
