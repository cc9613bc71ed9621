import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { freePort } from '@floorwatch/servers';

import type { Resources } from '../../../tests/support/index.ts';
import { type AgentConfig, agentConfigSchema } from '../../src/config.ts';
import type { AgentProbe } from '../../src/doctor/agent-probe.ts';
import type { Check, GatewayContext } from '../../src/doctor/check.ts';
import type { Finding } from '../../src/doctor/finding.ts';

/** What a test writes into the configuration, as JSON, which is YAML too. */
export type Written = Record<string, unknown>;

/** A configuration with ports, a data folder and a NATS address of its own, where nothing is. */
export async function gatewayConfig(
  resources: Resources,
  changes: Written = {},
): Promise<{ readonly config: AgentConfig; readonly configFile: string; readonly directory: string }> {
  const directory = await resources.directory();
  const dataDir = join(directory, 'data');
  await mkdir(dataDir, { mode: 0o750 });
  const written = {
    site: 'Werk 1',
    gateway: 'halle-7',
    broker: { kind: 'embedded', port: await freePort() },
    storage: { dataDir },
    nats: { servers: [`nats://127.0.0.1:${await freePort()}`] },
    http: { port: await freePort() },
    ...changes,
  };
  const configFile = join(directory, 'agent.yaml');
  await writeFile(configFile, JSON.stringify(written), { mode: 0o640 });
  return { config: agentConfigSchema.parse(written), configFile, directory };
}

export const stopped: AgentProbe = { state: 'stopped', address: 'http://127.0.0.1:9464' };

/** Runs one check, as the doctor does. */
export async function runCheck(
  check: Check,
  context: Pick<GatewayContext, 'config' | 'configFile'> & Partial<GatewayContext>,
): Promise<readonly Finding[]> {
  return check.run({
    system: { proc: '/proc', sys: '/sys' },
    signal: AbortSignal.timeout(15_000),
    agent: stopped,
    ...context,
  });
}
