import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';

import { freePort } from '@floorwatch/servers';

import { type Resources, waitFor } from '../../../tests/support/index.ts';

/** Where mosquitto is installed; undefined: it is not, and its tests are skipped by name. */
export const mosquittoProgram = [
  '/usr/sbin/mosquitto',
  '/usr/local/sbin/mosquitto',
  '/opt/homebrew/sbin/mosquitto',
].find((file) => {
  try {
    accessSync(file);
    return true;
  } catch {
    return false;
  }
});

/** A mosquitto that keeps sessions over a restart. */
export class Mosquitto {
  readonly port: number;
  readonly #directory: string;
  readonly #inFlightMax: number;
  readonly #more: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(port: number, directory: string, inFlightMax: number, more: readonly string[]) {
    this.port = port;
    this.#directory = directory;
    this.#inFlightMax = inFlightMax;
    this.#more = more;
  }

  /**
   * @param inFlightMax messages that it sends to a client without an acknowledgement; 0: any number. Its own default is 20.
   * @param more lines of its configuration.
   */
  static async start(resources: Resources, inFlightMax = 0, more: readonly string[] = []): Promise<Mosquitto> {
    const mosquitto = new Mosquitto(await freePort(), await resources.directory(), inFlightMax, more);
    resources.defer(async () => mosquitto.stop('SIGKILL'));
    await mosquitto.start();
    return mosquitto;
  }

  async start(): Promise<void> {
    const config = path.join(this.#directory, 'mosquitto.conf');
    await writeFile(
      config,
      [
        `listener ${this.port} 127.0.0.1`,
        'allow_anonymous true',
        'persistence true',
        `persistence_location ${this.#directory}/`,
        `max_inflight_messages ${this.#inFlightMax}`,
        'max_queued_messages 0',
        // Started as root it would change to a user that may not write here.
        'user root',
        ...this.#more,
        '',
      ].join('\n'),
    );
    const child = spawn(mosquittoProgram ?? 'mosquitto', ['-c', config], { stdio: 'ignore' });
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('close', () => process.off('exit', kill));
    this.#child = child;
    await waitFor('mosquitto listens', async () => {
      const socket = connect(this.port, '127.0.0.1');
      const [event] = await Promise.race([
        once(socket, 'connect').then(() => [true]),
        once(socket, 'error').then(() => [false]),
      ]).catch(() => [false]);
      socket.destroy();
      return event;
    });
  }

  /** With SIGTERM it saves its sessions first. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill(signal);
    await closed;
  }
}
