import { join } from 'node:path';

import { EXIT } from '@floorwatch/runtime';
import {
  describeExit,
  findServer,
  type ServerName,
  ServerProcess,
  ServerStartError,
  startInfluxd,
  startNatsServer,
} from '@floorwatch/servers';

import { checkAgentConfig, checkRecordings, replayParameters } from './check-input.ts';
import { ChildGroup, type EndedChild } from './child-group.ts';
import { ChildLog } from './child-log.ts';
import { agentConfig, type LocalPorts, processorConfig, writeConfig } from './config-files.ts';
import { type DataDirectory, openDataDirectory } from './data-directory.ts';
import { limits } from './limits.ts';
import { showLine } from './log-line.ts';
import type { LocalOptions } from './options.ts';
import { choosePorts, type ChosenPorts } from './ports.ts';
import { programs } from './programs.ts';
import type { Terminal } from './terminal.ts';

/**
 * Runs the floor until `signal` aborts or a part of it breaks, and stops all of it.
 *
 * @returns the exit code.
 * @throws StartError if it can't start.
 */
export async function runLocalFloor(options: LocalOptions, signal: AbortSignal, terminal: Terminal): Promise<number> {
  const say = (message: string): void => terminal.say(message);
  const input =
    options.input.kind === 'recording'
      ? { ...options.input, replay: await checkRecordings(options.input.replay, say, signal) }
      : options.input;
  const data = await openDataDirectory(options.dataDirectory, options.fresh);
  try {
    return await new LocalFloor({ ...options, input }, data, terminal).run(signal);
  } finally {
    await data.release();
  }
}

/** One run of the floor: sinks are started first and stopped last. */
class LocalFloor {
  readonly #options: LocalOptions;
  readonly #data: DataDirectory;
  readonly #terminal: Terminal;
  readonly #children: ChildGroup;
  readonly #abandon = new AbortController();
  #chosen: ChosenPorts | undefined;

  constructor(options: LocalOptions, data: DataDirectory, terminal: Terminal) {
    this.#options = options;
    this.#data = data;
    this.#terminal = terminal;
    this.#children = new ChildGroup(({ name }) => {
      terminal.about(name, 'has finished; the floor goes on until Ctrl-C');
    });
  }

  async run(signal: AbortSignal): Promise<number> {
    const stopped = new Promise<'stopped'>((resolve) => {
      if (signal.aborted) resolve('stopped');
      signal.addEventListener('abort', () => resolve('stopped'));
    });
    const starting = this.#start();
    try {
      const ending = Promise.race([stopped, this.#children.broken]);
      const ended = await Promise.race([ending, starting.then(() => ending)]);
      if (ended !== 'stopped') return this.#report(lastWords(ended), ended.exit.code);
      this.#terminal.say('\nstopping');
      return EXIT.ok;
    } catch (error) {
      if (error instanceof ServerStartError) return this.#report(error.message, error.exit?.code ?? null);
      throw error;
    } finally {
      this.#abandon.abort(new Error('the floor is stopping'));
      await starting.catch(() => {});
      await this.#children.stop();
      await this.#chosen?.release();
      this.#terminal.say('everything is stopped');
    }
  }

  /** Says what broke; a child that could not start for a reason that a person can mend passes that on as its exit code. */
  #report(message: string, code: number | null): number {
    this.#terminal.say(`\n${message}\nThe others are being stopped. Logs: ${join(this.#data.path, 'logs')}`);
    return code === EXIT.cannotStart ? EXIT.cannotStart : EXIT.failed;
  }

  async #start(): Promise<void> {
    const { agentOnly, store, input, dataDirectory } = this.#options;
    this.#chosen = await choosePorts(this.#options, (message) => this.#terminal.say(message));
    const { ports } = this.#chosen;
    this.#terminal.say(`${this.#data.hasData ? 'going on from the data in' : 'starting afresh in'} ${dataDirectory}`);
    const agentFile = await this.#writeAgentConfig(ports);
    if (agentOnly === undefined) {
      await this.#startServer('nats-server', startNatsServer, ports.nats);
      if (store === 'influxdb') await this.#startServer('influxd', startInfluxd, ports.influx);
      const config = await writeConfig(dataDirectory, 'processor', processorConfig(this.#options, ports));
      if (store === 'influxdb') await this.#setUpStore(config);
      await this.#startProgram('processor', ['run', '--config', config], `http://127.0.0.1:${ports.page}/healthz`);
    }
    await this.#startProgram('agent', ['run', '--config', agentFile], `http://127.0.0.1:${ports.agent}/healthz`);
    if (input.kind !== 'none') await this.#startProgram('simulator', this.#simulatorParameters(ports), undefined);
    this.#tellWhereThingsAre(ports);
  }

  async #writeAgentConfig(ports: LocalPorts): Promise<string> {
    const { agentConfigFile, dataDirectory } = this.#options;
    const file = await writeConfig(dataDirectory, 'agent', await agentConfig(this.#options, ports, new Date()));
    if (agentConfigFile !== undefined) await checkAgentConfig(file, this.#abandon.signal);
    return file;
  }

  async #startServer(name: ServerName, start: typeof startNatsServer, port: number): Promise<void> {
    const { signal } = this.#abandon;
    const progress = (message: string): void => this.#terminal.about(name, message);
    const { path, version, how } = await findServer(name, { progress, signal });
    const directory = join(this.#data.path, name);
    await this.#announce(name, `starting version ${version} (${how}) at port ${port}`, async () => {
      const { process } = await start({ path, directory, port, signal, onLine: this.#logOf(name) });
      this.#children.add({ name, process, mayFinish: false });
    });
  }

  async #startProgram(
    name: keyof typeof programs,
    parameters: readonly string[],
    healthUrl: string | undefined,
  ): Promise<void> {
    const process = this.#process(name, [programs[name], ...parameters], healthUrl);
    await this.#announce(name, 'starting', () => process.start());
    this.#children.add({ name, process, mayFinish: name === 'simulator' });
  }

  async #setUpStore(config: string): Promise<void> {
    const process = this.#process('set-up', [programs.processor, 'set-up', '--config', config], undefined);
    await this.#announce('set-up', 'making what the store needs', async () => {
      await process.start();
      const exit = await process.exited;
      if (exit.code !== 0) {
        throw new ServerStartError(lastWords({ child: { name: 'set-up', process, mayFinish: true }, exit }), exit);
      }
    });
  }

  #process(name: string, parameters: readonly string[], healthUrl: string | undefined): ServerProcess {
    return new ServerProcess({
      name,
      path: process.execPath,
      parameters,
      isReady: async () => healthUrl === undefined || isWell(healthUrl),
      readyMsMax: limits.readyMsMax,
      signal: this.#abandon.signal,
      onLine: this.#logOf(name),
    });
  }

  #logOf(name: string): (line: string) => void {
    return new ChildLog(name, join(this.#data.path, 'logs'), this.#terminal, this.#options.verbose).onLine;
  }

  /** Says what is being started, and again every few seconds while it takes long. */
  async #announce(name: string, what: string, start: () => Promise<void>): Promise<void> {
    this.#terminal.about(name, what);
    const since = Date.now();
    const waiting = setInterval(() => {
      this.#terminal.about(name, `is not ready yet, after ${Math.round((Date.now() - since) / 1_000)} s`);
    }, limits.slowStartMs);
    try {
      await start();
    } finally {
      clearInterval(waiting);
    }
  }

  #simulatorParameters({ mqtt }: LocalPorts): string[] {
    const { input } = this.#options;
    const url = ['--url', `mqtt://127.0.0.1:${mqtt}`];
    if (input.kind !== 'recording') {
      const machines = String(input.kind === 'simulated' ? input.machines : 1);
      return ['run', '--machines', machines, '--truth', join(this.#data.path, 'truth.ndjson'), ...url];
    }
    return [...replayParameters(input.replay), ...url];
  }

  #tellWhereThingsAre({ page, mqtt, agent }: LocalPorts): void {
    const { agentOnly, input } = this.#options;
    const lines = [
      ...(agentOnly === undefined
        ? [`Page:          http://127.0.0.1:${page}`]
        : [`Sends to:      ${agentOnly.natsUrl}`]),
      `MQTT:          mqtt://127.0.0.1:${mqtt}  (topics sensors/<device>/<metric>)`,
      `Agent status:  http://127.0.0.1:${agent}/status`,
      `Logs:          ${join(this.#data.path, 'logs')}`,
      ...(input.kind === 'none' ? ['Nothing is simulated: publish readings of your own.'] : []),
      'Stop with Ctrl-C.',
    ];
    this.#terminal.say(`\n${lines.join('\n')}\n`);
  }
}

async function isWell(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(text.slice(0, 500));
  return true;
}

function lastWords({ child: { name, process }, exit }: EndedChild): string {
  const lines = process.lastLines.slice(-limits.lastLinesShown).map((line) => showLine(name, line).text.slice(0, 300));
  return [`${name} ${describeExit(exit)}. Its last lines:`, ...lines].join('\n  ');
}
