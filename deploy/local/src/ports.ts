import { rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type ProcessLock, StartError, takeProcessLock } from '@floorwatch/runtime';
import { isFreePort } from '@floorwatch/servers';

import type { LocalPorts } from './config-files.ts';
import { limits } from './limits.ts';
import type { LocalOptions } from './options.ts';

/** What a port is for. */
export interface PortUse {
  /** For messages: `the page`. */
  readonly what: string;
  /** The option that sets it: `--port`. */
  readonly option: string;
  /** What a person asked for; undefined: nothing. */
  readonly asked: number | undefined;
  readonly usual: number;
}

/** The ports of one floor. */
export interface ChosenPorts {
  readonly ports: LocalPorts;
  /** Lets other floors choose them; call it when nothing listens there any more. */
  readonly release: () => Promise<void>;
}

/** Where floors say which ports they have chosen; per user, because nobody may write into another's folder. */
const RESERVED = join(tmpdir(), `floorwatch-ports-${process.getuid?.() ?? 'all'}`);

/**
 * Chooses ports of this machine, one after the other, and never the same twice. A lock reserves each, because a floor that starts at the
 * same moment would find it free as well until somebody listens there.
 */
class PortChooser {
  readonly #chosen = new Set<number>();
  readonly #reserved: { readonly folder: string; readonly lock: ProcessLock }[] = [];
  readonly #say: (message: string) => void;

  /** @param say told when a usual port is busy and another one is taken. */
  constructor(say: (message: string) => void) {
    this.#say = say;
  }

  async release(): Promise<void> {
    const released = this.#reserved.splice(0).map(async ({ folder, lock }) => {
      await lock.release();
      // Unless another floor is in it already.
      await rmdir(folder).catch(() => undefined);
    });
    await Promise.all(released);
  }

  /** @throws StartError if the port that was asked for is busy, or all that were tried are. */
  async choose({ what, option, asked, usual }: PortUse): Promise<number> {
    if (asked !== undefined) {
      if (await this.#take(asked)) return asked;
      const remedy = `stop the program that uses it, or choose another one with ${option}`;
      throw new StartError('port-in-use', `${option}: port ${asked} for ${what} is already in use; ${remedy}`);
    }
    for (let port = usual; port < usual + limits.portAttempts; port++) {
      if (!(await this.#take(port))) continue;
      if (port !== usual) this.#say(`port ${usual} is in use by another program; ${what} takes ${port}`);
      return port;
    }
    const range = `${usual} to ${usual + limits.portAttempts - 1}`;
    throw new StartError('port-in-use', `ports ${range} for ${what} are all in use; choose another one with ${option}`);
  }

  async #take(port: number): Promise<boolean> {
    if (this.#chosen.has(port) || !(await isFreePort(port)) || !(await this.#reserve(port))) return false;
    this.#chosen.add(port);
    return true;
  }

  async #reserve(port: number): Promise<boolean> {
    const folder = join(RESERVED, String(port));
    try {
      const taken = await takeProcessLock(folder);
      if ('lock' in taken) this.#reserved.push({ folder, lock: taken.lock });
      return 'lock' in taken;
    } catch {
      // Where nothing can be reserved, that the port is free has to do.
      return true;
    }
  }
}

/**
 * Chooses a port for all that will listen.
 *
 * @throws StartError if one that was asked for is busy.
 */
export async function choosePorts(
  { ports, store, agentOnly }: LocalOptions,
  say: (message: string) => void,
): Promise<ChosenPorts> {
  const chooser = new PortChooser(say);
  const whole = agentOnly === undefined;
  const choose = async (needed: boolean, use: PortUse): Promise<number> => (needed ? chooser.choose(use) : use.usual);
  try {
    const chosen: LocalPorts = {
      page: await choose(whole, { what: 'the page', option: '--port', asked: ports.page, usual: 8080 }),
      mqtt: await choose(true, { what: 'MQTT', option: '--mqtt-port', asked: ports.mqtt, usual: 1883 }),
      agent: await choose(true, {
        what: "the agent's status",
        option: '--agent-port',
        asked: ports.agent,
        usual: 9464,
      }),
      nats: await choose(whole, { what: 'nats-server', option: '--nats-port', asked: ports.nats, usual: 4222 }),
      influx: await choose(whole && store === 'influxdb', {
        what: 'influxd',
        option: '--influx-port',
        asked: ports.influx,
        usual: 8086,
      }),
    };
    return { ports: chosen, release: async () => chooser.release() };
  } catch (error) {
    await chooser.release();
    throw error;
  }
}
