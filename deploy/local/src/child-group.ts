import type { ServerExit, ServerProcess } from '@floorwatch/servers';

import { limits } from './limits.ts';

/** A program that runs as part of the floor. */
export interface Child {
  readonly name: string;
  readonly process: ServerProcess;
  /** It may end by itself with exit code 0, like the replay of a recording. */
  readonly mayFinish: boolean;
}

/** A child that ended though nobody had asked it to. */
export interface EndedChild {
  readonly child: Child;
  readonly exit: ServerExit;
}

/** Programs that live and end together: sinks are added first and stopped last. */
export class ChildGroup {
  readonly #children: Child[] = [];
  readonly #onFinished: (child: Child) => void;
  #reportBroken: (ended: EndedChild) => void = () => {};
  #stopping = false;

  /** Resolves when the first child has ended though nobody had asked it to. */
  readonly broken: Promise<EndedChild>;

  /** @param onFinished told when a child that may has ended with exit code 0. */
  constructor(onFinished: (child: Child) => void) {
    this.#onFinished = onFinished;
    this.broken = new Promise((resolve) => (this.#reportBroken = resolve));
  }

  /** Watches over a child that runs. */
  add(child: Child): void {
    this.#children.push(child);
    void this.#watch(child);
  }

  async #watch(child: Child): Promise<void> {
    const exit = await child.process.exited;
    if (this.#stopping) return;
    if (child.mayFinish && exit.code === 0) this.#onFinished(child);
    else this.#reportBroken({ child, exit });
  }

  /** Stops all, sources first, within the time that `limits` gives; what is not done by then is killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const deadline = Date.now() + limits.stopMsMax;
    for (let child = this.#children.pop(); child !== undefined; child = this.#children.pop()) {
      const reserve = this.#children.length * limits.stopMsReserve;
      await child.process.stop(Math.max(limits.stopMsReserve, deadline - reserve - Date.now()));
    }
  }
}
