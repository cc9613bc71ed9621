import type { Logger } from '@floorwatch/runtime';

import { Random } from '../../chaos/harness/random.ts';
import { VirtualTime } from './virtual-time.ts';

/** What never happens, for whoever waits for it: a process that was killed. */
export const never = async <T>(): Promise<T> => new Promise(() => undefined);

/** What can go wrong; each seed has some of them. */
export const FAULTS = [
  'lost-messages',
  'gateway-crash',
  'power-cut',
  'processor-crash',
  'damaged-checkpoint',
  'stream-loss',
  'stream-trimmed',
  'stream-recreated',
  'no-network',
  'slow-store',
  'failing-store',
  'late-devices',
  'clock-jump',
  'small-disk',
  'restored-image',
  'cloned-card',
  'clean-stop',
  'slow-disk',
  'reprocess',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Time, chance and what has happened, for everything in one simulation. */
export class World {
  readonly seed: number;
  readonly random: Random;
  readonly time: VirtualTime;
  readonly faults: ReadonlySet<Fault>;
  /** Once over, nothing goes wrong any more. */
  calm = false;
  /** What product code did that it must not do. */
  readonly failures: string[] = [];
  readonly #history: string[] = [];

  constructor(seed: number, faults?: readonly Fault[]) {
    this.seed = seed;
    this.random = new Random(seed);
    this.time = new VirtualTime(new Random(seed ^ 0x5bd1e995));
    this.faults = new Set(faults ?? FAULTS.filter((fault) => this.chance(RARE[fault] ?? 0.4)));
  }

  chance(probability: number): boolean {
    return this.random.chance(probability);
  }

  /** A whole number in [from, to]. */
  int(from: number, to: number): number {
    return Math.floor(this.random.between(from, to + 1));
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(0, from.length - 1)]!;
  }

  /** Whether a fault happens now. */
  strikes(fault: Fault, probability: number): boolean {
    return !this.calm && this.faults.has(fault) && this.chance(probability);
  }

  /** Whether the stream may lose what it has acknowledged. */
  get mayLoseMessages(): boolean {
    return (['stream-loss', 'stream-recreated', 'stream-trimmed'] as const).some((fault) => this.faults.has(fault));
  }

  note(what: string): void {
    this.#history.push(`${(this.time.now / 1_000).toFixed(3).padStart(9)} s  ${what}`);
  }

  fail(what: string): void {
    this.note(`WRONG: ${what}`);
    this.failures.push(what);
  }

  get history(): readonly string[] {
    return this.#history;
  }

  /** Hears what product code logs that is worth a line of history, as long as its process lives. */
  logger(who: string, lives = () => true): Logger {
    const log = (...[facts, text]: unknown[]): void => {
      if (lives()) this.note(`${who}: ${String(text)} ${JSON.stringify(facts)}`);
    };
    const nothing = (): void => undefined;
    return { debug: nothing, info: nothing, warn: log, error: log };
  }
}

/** In what part of the seeds those are that change what can be expected; all others are in two of five. */
const RARE: Partial<Record<Fault, number>> = { 'restored-image': 0.15, 'cloned-card': 0.15, 'small-disk': 0.25 };
