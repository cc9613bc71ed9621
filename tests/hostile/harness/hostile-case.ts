import type { Random } from '../../chaos/harness/random.ts';
import type { GoodDevices } from './good-devices.ts';
import type { RawClient, RawClientOptions } from './raw-client.ts';

/** What a case has to work with. */
export interface Attacked {
  /** Where the agent's broker listens, on 127.0.0.1. */
  readonly port: number;
  /** The devices whose readings must be taken as before. */
  readonly devices: GoodDevices;
  /** Connects a client, which is closed when the attack is over. Does not wait until the broker has answered. null: it sends no CONNECT. */
  readonly connect: (options?: RawClientOptions | null, localAddress?: string) => Promise<RawClient>;
  /** How often the broker has refused something for this reason since it started, as `/status` says. */
  readonly refused: (reason: string) => Promise<number>;
}

/**
 * Something that one client, or many of one owner, do to the broker. To add one: a file in `tests/hostile/cases` named like it, a line in
 * `cases/index.ts`, and a row in docs/chaos.md. `npm test` then runs one round of it, and `npm run chaos -- --scenario hostile-<name>` as many
 * as asked.
 *
 * An attack should take about a second, and let go of the event loop often: latencies of the good devices are measured in the same process. What
 * it sends is made by `prepare`, before the measuring begins. What it proves about itself (that connections were closed, that something was counted)
 * it throws if it does not hold.
 */
export interface HostileCase {
  /** As in `--scenario hostile-<name>`. */
  readonly name: string;
  /** The end of the sentence "readings are taken as before while …". */
  readonly does: string;
  /**
   * Makes what is sent.
   *
   * @param random the same draws for the same seed and round.
   * @param round from 1; all rounds attack the same agent.
   * @returns the attack.
   */
  prepare(random: Random, round: number): (attacked: Attacked) => Promise<void>;
}
