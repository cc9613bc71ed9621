import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import path from 'node:path';

import { INGEST_STREAM } from '@floorwatch/contracts';
import { freePort } from '@floorwatch/servers';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { stringify } from 'yaml';

import { type ChildProgram, programs, type Resources, waitFor } from '../support/index.ts';

/** A gateway alone, as a technician installs it: the built agent and a nats-server with the stream, and no processor. */
export interface Gateway {
  readonly agent: ChildProgram;
  readonly pid: number;
  readonly mqttPort: number;
  readonly natsUrl: string;
  /** What one of its metrics without labels says; 0 if it is not there. Without `floorwatch_agent_`. */
  readonly metric: (name: string) => Promise<number>;
  /** Readings that it has accepted. */
  readonly accepted: () => Promise<number>;
}

/** @param configuration laid over the agent's; `storage.dataDir` is set. */
export async function startGateway(
  resources: Resources,
  configuration: { readonly storage?: Readonly<Record<string, unknown>>; readonly [field: string]: unknown } = {},
): Promise<Gateway> {
  const folder = await resources.directory();
  const nats = await resources.nats();
  const connection = await connect({ servers: nats.url });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: INGEST_STREAM.name, subjects: [...INGEST_STREAM.subjects] });
  await connection.close();
  const [mqttPort, httpPort] = [await freePort(), await freePort()];
  const file = path.join(folder, 'agent.yaml');
  const { storage, ...others } = configuration;
  const config = {
    site: 'site',
    gateway: 'gateway',
    nats: { servers: [nats.url] },
    broker: { kind: 'embedded', port: mqttPort },
    http: { port: httpPort },
    storage: { dataDir: path.join(folder, 'agent'), ...storage },
    ...others,
  };
  await writeFile(file, stringify(config));
  const agent = resources.program(programs.agent, ['run', '--config', file]);
  const url = `http://127.0.0.1:${httpPort}`;
  await waitFor('the agent answers or has ended', async () => !agent.isRunning || (await fetch(`${url}/healthz`)).ok, {
    timeoutMs: 60_000,
  });
  await waitFor(
    'the agent takes connections or has ended',
    async () => !agent.isRunning || (await isListening(mqttPort)),
  );
  if (!agent.isRunning) throw new Error(`the agent has ended:\n${agent.output()}`);
  const metric = async (name: string): Promise<number> => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return Number(new RegExp(`^floorwatch_agent_${name} (\\S+)$`, 'm').exec(metrics)?.[1] ?? 0);
  };
  const accepted = async (): Promise<number> => metric('readings_accepted_total');
  return { agent, pid: agent.pid ?? 0, mqttPort, natsUrl: nats.url, metric, accepted };
}

async function isListening(port: number): Promise<boolean> {
  const socket = connectTcp(port, '127.0.0.1');
  return once(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy());
}
