import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { loadConfig } from '@floorwatch/runtime';
import { stringify } from 'yaml';
import { z } from 'zod';

import type { LocalOptions } from './options.ts';
import { SIMULATED_ENGINE } from './simulated-engine.ts';

/** Ports in use, by what listens there. */
export interface LocalPorts {
  readonly page: number;
  readonly mqtt: number;
  readonly agent: number;
  readonly nats: number;
  readonly influx: number;
}

/** 100 years, the most that the agent takes. */
const RECORDED_MS_MAX = 36_525 * 86_400_000;

/**
 * The agent's configuration: a person's file, if there is one, with what only this floor knows laid over it.
 *
 * @throws StartError if the file can't be read, or is no YAML with fields.
 */
export async function agentConfig(options: LocalOptions, ports: LocalPorts, now: Date): Promise<object> {
  const own = ownAgentConfig(options, ports, now);
  const { agentConfigFile, input } = options;
  if (agentConfigFile !== undefined) return loadConfig(agentConfigFile, z.looseObject({}), own);
  return input.kind === 'simulated' ? { ...own, engine: SIMULATED_ENGINE } : own;
}

function ownAgentConfig(options: LocalOptions, ports: LocalPorts, now: Date): Record<string, unknown> {
  const gateway = gatewayName(options, now);
  return {
    site: 'local',
    gateway,
    broker: { kind: 'embedded', port: ports.mqtt },
    // Each gateway has a folder of its own.
    storage: { dataDir: join(options.dataDirectory, 'agent', gateway.replace(/[^\w-]/g, '-')) },
    http: { port: ports.agent },
    // A recording may be of any age, and is played at another speed than it was made at.
    ...(isRecordedTime(options) && { readings: { pastMsMax: RECORDED_MS_MAX } }),
    ...(options.input.kind === 'recording' && { engine: { silent: { by: 'event-times' } } }),
    nats: { servers: [options.agentOnly?.natsUrl ?? `nats://127.0.0.1:${ports.nats}`] },
  };
}

const isRecordedTime = ({ input }: Pick<LocalOptions, 'input'>): boolean =>
  input.kind === 'recording' && input.replay.times === 'file';

/**
 * A recording that keeps its own times begins long before the one that was played last has ended. As a gateway of its own it has
 * a clock of its own, so that none of it is late.
 */
function gatewayName({ input }: LocalOptions, now: Date): string {
  if (!isRecordedTime({ input })) return 'floor';
  return `recording ${now.toISOString().slice(0, 19).replace('T', ' ')}`;
}

/** The processor's configuration. What each store lacks is read from the stream again, so each has checkpoints of its own. */
export function processorConfig(options: LocalOptions, ports: LocalPorts): object {
  const { dataDirectory, store } = options;
  // For ever: a recording may be older than anything that would be kept otherwise, and a later start must not drop it.
  const retentionDays = 0;
  return {
    nats: { servers: [`nats://127.0.0.1:${ports.nats}`] },
    dataDir: join(dataDirectory, `processor-${store}`),
    http: { port: ports.page },
    gateway: { mqttUrl: `mqtt://127.0.0.1:${ports.mqtt}`, statusUrl: `http://127.0.0.1:${ports.agent}/status` },
    store:
      store === 'duckdb'
        ? { kind: 'duckdb', file: join(dataDirectory, 'store.duckdb'), retentionDays }
        : {
            kind: 'influxdb',
            url: `http://127.0.0.1:${ports.influx}`,
            org: 'floorwatch',
            tokenFile: join(dataDirectory, 'influx-token'),
            onboard: true,
            retentionDays,
          },
  };
}

/** Writes a configuration file for a child and returns its path. */
export async function writeConfig(dataDirectory: string, name: string, config: object): Promise<string> {
  const file = join(dataDirectory, 'config', `${name}.yaml`);
  await writeFile(file, `# Written by npm start; it is overwritten by the next one.\n${stringify(config)}`);
  return file;
}
