import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';

import type { GatewayName } from '@floorwatch/contracts';
import { freePort } from '@floorwatch/servers';
import { stringify } from 'yaml';

import { type ChildProgram, fetchAgain, programs, type Resources, waitFor } from '../../support/index.ts';

export const GATEWAY: GatewayName = { site: 'Werk Süd', gateway: 'gateway 1' };

/** Parts of the agent's configuration, each laid over the harness's own. */
export interface AgentOverrides {
  readonly storage?: Readonly<Record<string, unknown>>;
  readonly engine?: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

/** The built agent on ports of its own, which stay the same from start to start, like its folder. */
export class AgentProcess {
  readonly mqttPort: number;
  readonly dataDir: string;
  readonly url: string;
  readonly #resources: Resources;
  readonly #folder: string;
  readonly #config: AgentOverrides;
  #overrides: AgentOverrides = {};
  #program: ChildProgram | undefined;

  private constructor(
    resources: Resources,
    folder: string,
    dataDir: string,
    ports: { mqtt: number; http: number },
    config: AgentOverrides,
  ) {
    this.#resources = resources;
    this.#folder = folder;
    this.dataDir = dataDir;
    this.mqttPort = ports.mqtt;
    this.url = `http://127.0.0.1:${ports.http}`;
    this.#config = config;
  }

  /**
   * @param options.dataDir default: a folder of its own.
   * @param options.brokerPort of an external broker; default: the agent's own, on a free port.
   */
  static async create(
    resources: Resources,
    natsUrl: string,
    options: { readonly dataDir?: string; readonly brokerPort?: number; readonly config?: AgentOverrides } = {},
  ): Promise<AgentProcess> {
    const folder = await resources.directory();
    const dataDir = options.dataDir ?? path.join(folder, 'agent');
    const { brokerPort } = options;
    const ports = { mqtt: brokerPort ?? (await freePort()), http: await freePort() };
    const config = merge(
      {
        ...GATEWAY,
        logLevel: 'info',
        nats: { servers: [natsUrl] },
        broker:
          brokerPort === undefined
            ? { kind: 'embedded', port: ports.mqtt }
            : { kind: 'external', url: `mqtt://127.0.0.1:${brokerPort}` },
        http: { port: ports.http },
        storage: { dataDir },
      },
      options.config ?? {},
    );
    return new AgentProcess(resources, folder, dataDir, ports, config);
  }

  /** Laid over the configuration from the next start on. */
  configure(overrides: AgentOverrides): void {
    this.#overrides = overrides;
  }

  /** Starts it, without waiting until it is ready. */
  async spawn(): Promise<ChildProgram> {
    const file = path.join(this.#folder, 'agent.yaml');
    await writeFile(file, stringify(merge(this.#config, this.#overrides)));
    this.#program = this.#resources.program(programs.agent, ['run', '--config', file]);
    return this.#program;
  }

  /** Starts it and waits until devices can connect, which is behind all that a start does. @returns milliseconds until then. */
  async start(timeoutMs = 60_000): Promise<number> {
    const began = performance.now();
    const program = await this.spawn();
    await waitFor(
      'the agent takes connections or has ended',
      async () => !program.isRunning || canConnect(this.mqttPort),
      { timeoutMs, intervalMs: 20 },
    );
    if (!program.isRunning) throw new Error(`the agent has ended:\n${program.output()}`);
    return performance.now() - began;
  }

  get program(): ChildProgram {
    if (this.#program === undefined) throw new Error('the agent was not started');
    return this.#program;
  }

  async kill9(): Promise<void> {
    await this.program.kill9();
  }

  /** What `/status` says. */
  async status(): Promise<AgentStatus> {
    return (await (await fetchAgain(`${this.url}/status`)).json()) as AgentStatus;
  }

  /** Processor time that it has used so far, in milliseconds: what does not depend on what else the machine does. */
  async cpuMs(): Promise<number> {
    const stat = await readFile(`/proc/${this.program.pid ?? 0}/stat`, 'utf8');
    // Fields 14 and 15, behind the name in parentheses, in hundredths of a second.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return 10 * (Number(fields[11]) + Number(fields[12]));
  }

  /** Resident memory in bytes, as the system counts it. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.program.pid ?? 0}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1_024;
  }
}

/** The part of `/status` that tests rely on. */
export interface AgentStatus {
  readonly [field: string]: unknown;
  readonly epoch: string;
  readonly readings: Readonly<Record<string, unknown>> & { readonly accepted: number };
  readonly episodes: Readonly<Record<'opened' | 'closed', number>>;
  readonly lanes: Readonly<Record<'anomaly' | 'telemetry', Readonly<Record<string, unknown>>>>;
  readonly troubles: readonly unknown[];
}

/** Lays `over` over `base`, object by object; lists are replaced. */
function merge(base: AgentOverrides, over: AgentOverrides): AgentOverrides {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isObject(below) && isObject(value) ? merge(below, value) : value;
  }
  return merged;
}

const canConnect = async (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

const isObject = (value: unknown): value is AgentOverrides =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
