import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import {
  type AnomalyRow,
  days,
  type GatewayName,
  gatewayToken,
  type Page,
  type SensorRef,
  type WindowView,
} from '@floorwatch/contracts';
import { freePort, type LoopbackServer } from '@floorwatch/servers';
import { stringify } from 'yaml';

import { type ChildProgram, fetchAgain, programs, type Resources, waitFor } from '../support/index.ts';

export const GATEWAY: GatewayName = { site: 'Werk Süd', gateway: 'gateway 1' };
const PAGE_ROWS = 5_000;

/** What differs between the floors that tests need. */
export interface FloorOptions {
  readonly store: 'duckdb' | 'influxdb';
  /** The folder that `nats-users` made; absent: NATS lets everybody in, with all rights. */
  readonly natsUsers?: string;
  /** Laid over the processor's configuration. */
  readonly processor?: Readonly<Record<string, unknown>>;
  /** Laid over the agent's configuration. */
  readonly agent?: Readonly<Record<string, unknown>>;
}

/** The whole pipeline as its users run it: the built programs and real servers, each a process of its own, on free ports. */
export class Floor {
  readonly mqttUrl: string;
  readonly apiUrl: string;
  readonly agentUrl: string;
  readonly nats: LoopbackServer;
  /** The store's server; undefined for a store in a file. */
  readonly influxd: LoopbackServer | undefined;
  /** File with the token of that server. */
  readonly influxTokenFile: string;
  agent: ChildProgram;
  processor: ChildProgram;
  readonly #resources: Resources;
  readonly #folder: string;

  private constructor(
    resources: Resources,
    folder: string,
    servers: Pick<Floor, 'nats' | 'influxd'>,
    ports: { mqtt: number; api: number; agent: number },
  ) {
    this.#resources = resources;
    this.#folder = folder;
    this.nats = servers.nats;
    this.influxd = servers.influxd;
    this.influxTokenFile = tokenFileIn(folder);
    this.mqttUrl = `mqtt://127.0.0.1:${ports.mqtt}`;
    this.apiUrl = `http://127.0.0.1:${ports.api}`;
    this.agentUrl = `http://127.0.0.1:${ports.agent}`;
    this.processor = this.#program('processor');
    this.agent = this.#program('agent');
  }

  static async start(resources: Resources, options: FloorOptions): Promise<Floor> {
    const folder = await resources.directory();
    const { natsUsers } = options;
    const nats = await resources.nats(
      natsUsers === undefined
        ? {}
        : { configuration: `include "${path.relative(folder, natsUsers)}/users.conf"`, directory: folder },
    );
    const ports = { mqtt: await freePort(), api: await freePort(), agent: await freePort() };
    const influxd = options.store === 'influxdb' ? await resources.influxd() : undefined;
    const store =
      influxd === undefined
        ? { kind: 'duckdb', file: path.join(folder, 'store.duckdb'), retentionDays: 0 }
        : influxStore(influxd.url, folder);
    const natsConfig = (key: string): Record<string, unknown> =>
      natsUsers === undefined ? { servers: [nats.url] } : { servers: [nats.url], nkeyFile: path.join(natsUsers, key) };
    const processor = {
      nats: natsConfig('processor.nkey'),
      dataDir: path.join(folder, 'processor'),
      store,
      http: { port: ports.api },
      ...options.processor,
    };
    const agent = {
      ...GATEWAY,
      nats: natsConfig(`gateways/${gatewayToken(GATEWAY)}.nkey`),
      broker: { kind: 'embedded', port: ports.mqtt },
      // Recordings, and floors with a time of their own, may be of any age, and pass faster than the clock.
      readings: { pastMsMax: days(36_525) },
      engine: { silent: { by: 'event-times' } },
      storage: { dataDir: path.join(folder, 'agent-data') },
      http: { port: ports.agent },
      ...options.agent,
    };
    await writeFile(path.join(folder, 'processor.yaml'), stringify(processor));
    await writeFile(path.join(folder, 'agent.yaml'), stringify(agent));
    if (influxd !== undefined) await setUp(resources, folder);
    const floor = new Floor(resources, folder, { nats, influxd }, ports);
    await floor.ready();
    return floor;
  }

  /** Waits until the agent and the processor answer and are well. */
  async ready(): Promise<void> {
    for (const [name, url, program] of [
      ['processor', this.apiUrl, this.processor],
      ['agent', this.agentUrl, this.agent],
    ] as const) {
      await waitFor(
        `the ${name} is well or has ended`,
        async () => !program.isRunning || (await fetch(`${url}/healthz`)).ok,
        { timeoutMs: 60_000 },
      );
      if (!program.isRunning) throw new Error(`the ${name} has ended:\n${program.output()}`);
    }
  }

  /** Starts the processor again after it was stopped or killed. */
  async restartProcessor(): Promise<void> {
    this.processor = this.#program('processor');
    await this.ready();
  }

  /** Runs the simulator with these parameters until it ends. */
  simulator(...parameters: string[]): ChildProgram {
    return this.#resources.program(programs.simulator, [...parameters, '--url', this.mqttUrl]);
  }

  sensor(device: string, metric: string): SensorRef {
    return { ...GATEWAY, device, metric };
  }

  /** Everything that an address of the API lists, page by page. */
  async list<T>(address: string, query: Readonly<Record<string, string>>): Promise<T[]> {
    const items: T[] = [];
    let after: string | null = null;
    do {
      const parameters = new URLSearchParams({
        ...query,
        limit: String(PAGE_ROWS),
        ...(after === null ? {} : { after }),
      });
      const response = await fetchAgain(`${this.apiUrl}/api/v1/${address}?${String(parameters)}`);
      if (!response.ok)
        throw new Error(`${address}?${String(parameters)} was answered ${response.status}: ${await response.text()}`);
      const page = (await response.json()) as Page<T>;
      items.push(...page.items);
      after = page.next;
    } while (after !== null);
    return items;
  }

  async windows({ site, gateway, device, metric }: SensorRef, size: string): Promise<WindowView[]> {
    return this.list('windows', { sensor: `${site}/${gateway}/${device}/${metric}`, size, from: '0', to: FAR });
  }

  async anomalies(): Promise<AnomalyRow[]> {
    return this.list('anomalies', { from: '0', to: FAR });
  }

  /** The value of a metric without labels, such as `readings_total`. */
  async processorMetric(name: string): Promise<number> {
    const metrics = await (await fetchAgain(`${this.apiUrl}/metrics`)).text();
    return Number(new RegExp(`^floorwatch_processor_${name} (\\S+)$`, 'm').exec(metrics)?.[1] ?? Number.NaN);
  }

  #program(name: 'agent' | 'processor'): ChildProgram {
    return this.#resources.program(programs[name], ['run', '--config', path.join(this.#folder, `${name}.yaml`)]);
  }
}

/** Later than any event time. */
const FAR = '4102444800000';

const tokenFileIn = (folder: string): string => path.join(folder, 'influx-token');

const influxStore = (url: string, folder: string): Record<string, unknown> => ({
  kind: 'influxdb',
  url,
  org: 'floorwatch',
  tokenFile: tokenFileIn(folder),
  onboard: true,
  retentionDays: 0,
});

async function setUp(resources: Resources, folder: string): Promise<void> {
  const program = resources.program(programs.processor, ['set-up', '--config', path.join(folder, 'processor.yaml')]);
  const { code } = await program.exited;
  if (code !== 0) throw new Error(`set-up ended with ${code}:\n${program.output()}`);
}
