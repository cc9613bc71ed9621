import type {
  AnomalyQuery,
  AnomalyRow,
  Page,
  Row,
  WindowQuery,
  WindowRangeQuery,
  WindowRow,
  WriteOutcome,
} from '@floorwatch/contracts';

import { type Store, StoreError } from '../../../cloud-processor/src/write/store.ts';
import { MemoryStore } from '../../../cloud-processor/test/support/memory-store.ts';
import { never, type World } from './world.ts';

/** How long a request whose outcome is unknown may still be carried out. */
const LINGER_MS = 60_000;

/** A store whose requests may fail before or after they are carried out, or be carried out long after nobody waits for them. */
export class StoreModel {
  readonly #world: World;
  readonly memory = new MemoryStore();
  /** Nobody reaches it. */
  down = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** Somebody deletes windows; where in the log, by key. */
  readonly deleted = new Map<string, number>();

  deleteSome(): void {
    for (const key of Object.keys(this.memory.contents('window'))) {
      if (!this.#world.chance(0.3)) continue;
      this.memory.lose(key);
      this.deleted.set(key, this.memory.log.length);
    }
    this.#world.note(`${this.deleted.size} windows are deleted from the store`);
  }

  async open(): Promise<void> {
    await this.memory.connect(new AbortController().signal);
  }

  /** A processor's connection; `isDead` says whether that one is gone, so that no answer reaches it. */
  connect(
    beforeAnswer: () => boolean,
  ): Pick<
    Store,
    'lingerMs' | 'write' | 'windows' | 'windowsByTime' | 'scan' | 'anomalies' | 'windowEnds' | 'gateways'
  > {
    const answer = async <T>(give: () => Promise<T>): Promise<T> => {
      const result = await give();
      return beforeAnswer() ? result : never();
    };
    return {
      lingerMs: LINGER_MS,
      write: async (rows: readonly Row[]) => answer(async () => this.#write(rows)),
      windows: async (query: WindowQuery): Promise<Page<WindowRow>> =>
        answer(async () => this.#read(async () => this.memory.windows(query))),
      windowsByTime: async (query: WindowRangeQuery): Promise<Page<WindowRow>> =>
        answer(async () => this.#read(async () => this.memory.windowsByTime(query))),
      scan: async (query, take, signal) =>
        answer(async () => this.#read(async () => this.memory.scan(query, take, signal))),
      windowEnds: async () => answer(async () => this.#read(async () => this.memory.windowEnds())),
      gateways: async (since: number) => answer(async () => this.#read(async () => this.memory.gateways(since))),
      anomalies: async (query: AnomalyQuery): Promise<Page<AnomalyRow>> =>
        answer(async () => this.#read(async () => this.memory.anomalies(query))),
    };
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    const world = this.#world;
    await world.time.sleep(world.int(1, world.strikes('slow-store', 0.3) ? 5_000 : 20));
    if (this.down || world.strikes('failing-store', 0.3)) throw new StoreError('unreachable', 'no answer');
    return read();
  }

  async #write(rows: readonly Row[]): Promise<WriteOutcome> {
    const world = this.#world;
    const { time } = world;
    const sentAt = time.now;
    await time.sleep(world.int(1, world.strikes('slow-store', 0.3) ? 8_000 : 20));
    if (this.down || world.strikes('failing-store', 0.15)) throw new StoreError('unreachable', 'connection refused');
    if (world.strikes('failing-store', 0.25)) {
      const at = Math.min(time.now + world.int(0, LINGER_MS), sentAt + LINGER_MS - 1);
      time.after(at - time.now, () => void this.#land(rows));
      await time.sleep(world.int(0, 2_000));
      throw new StoreError('unreachable', 'no answer');
    }
    return this.#land(rows);
  }

  async #land(rows: readonly Row[]): Promise<WriteOutcome> {
    return this.memory.write(rows, new AbortController().signal);
  }
}
