import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { processorConfigSchema } from '@floorwatch/cloud-processor';
import { gatewayKey, gatewayToken } from '@floorwatch/contracts';
import { agentConfigSchema } from '@floorwatch/edge-agent';
import { isLoopback, loadConfig } from '@floorwatch/runtime';
import { findServer } from '@floorwatch/servers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { programs } from '../../../tests/support/index.ts';
import { composeDir, type ComposeFile, type ComposeService, parseMount, readComposeFile } from './compose-file.ts';

let compose: ComposeFile;
let folder: string;
beforeAll(async () => {
  compose = await readComposeFile();
  folder = await mkdtemp(join(tmpdir(), 'floorwatch-compose-'));
});
afterAll(() => rm(folder, { recursive: true }));

const services = (): [string, ComposeService][] => Object.entries(compose.services);
const service = (name: string): ComposeService => {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`no service ${name}`);
  return found;
};
const secretsOf = ({ secrets = [] }: ComposeService): string[] =>
  secrets.map((secret) => (typeof secret === 'string' ? secret : secret.source));
/** Container ports that are published, with the address they are published on. */
const portsOf = ({ ports = [] }: ComposeService): { address: string; host: string; container: string }[] =>
  ports.map((port) => {
    const [address = '', host = '', container = ''] = port.split(':');
    return { address, host, container };
  });

describe('compose.yaml', () => {
  test('mounts only what is in the repository, and only volumes that it declares', () => {
    const mounts = services().flatMap(([, { volumes = [] }]) => volumes.map(parseMount));
    expect(mounts.filter(({ target }) => !target.startsWith('/'))).toEqual([]);
    const bound = mounts.filter(({ isFolder }) => isFolder);
    expect(bound.filter(({ source }) => !existsSync(join(composeDir, source)))).toEqual([]);
    const used = new Set(mounts.filter(({ isFolder }) => !isFolder).map(({ source }) => source));
    expect([...used].toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
  });

  test('every secret that it names is used, and every one that is used is named', () => {
    const used = new Set(services().flatMap(([, each]) => secretsOf(each)));
    expect([...used].toSorted()).toEqual(Object.keys(compose.secrets).toSorted());
  });

  test('publishes nothing beyond 127.0.0.1, and no port twice', () => {
    const ports = services().flatMap(([, each]) => portsOf(each));
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter(({ address }) => address !== '127.0.0.1')).toEqual([]);
    expect(new Set(ports.map(({ host }) => host)).size).toBe(ports.length);
  });

  test('every container is read-only, starts again, may gain no rights, and is of a pinned version', () => {
    const careless = services().filter(
      ([, each]) =>
        each.read_only !== true ||
        each.security_opt?.includes('no-new-privileges:true') !== true ||
        !/^(unless-stopped|on-failure:\d)$/.test(each.restart ?? '') ||
        !/^floorwatch:local$|:\d+\.\d+\.\d+(-alpine)?$/.test(each.image),
    );
    expect(careless.map(([name]) => name)).toEqual([]);
    const ours = services().filter(([, { image }]) => image === 'floorwatch:local');
    expect(ours.map(([, { cap_drop: dropped }]) => dropped)).toEqual(ours.map(() => ['ALL']));
  });

  test('waits only for services that are there, and for their health only where it is checked', () => {
    const inVain: string[] = [];
    for (const [name, { depends_on: waits = {} }] of services()) {
      for (const [other, { condition }] of Object.entries(waits)) {
        const { healthcheck, environment, restart } = service(other);
        const hasHealth = healthcheck?.test !== undefined || environment?.['FLOORWATCH_HEALTH_URL'] !== undefined;
        const ends = restart?.startsWith('on-failure') === true;
        const holds =
          condition === 'service_healthy' ? hasHealth : condition === 'service_completed_successfully' && ends;
        if (!holds) inVain.push(`${name} waits for ${other}: ${condition}`);
      }
    }
    expect(inVain).toEqual([]);
  });
});

describe('the configuration files', () => {
  test("of the agent holds with the agent's own schema, and agrees with compose.yaml", async () => {
    const config = await loadConfig(join(composeDir, 'config/agent.yaml'), agentConfigSchema);
    const agent = service('agent');
    expect(agent.command).toEqual(['floorwatch-agent', '--config', '/etc/floorwatch/agent.yaml']);
    if (config.broker.kind !== 'embedded') throw new Error('the simulator has no broker');
    const { port, usersFile = '', host } = config.broker;
    expect(isLoopback(host)).toBe(false);
    expect(portsOf(agent).map(({ container }) => container)).toEqual([String(port), String(config.http.port)]);
    expect(agent.environment?.['FLOORWATCH_HEALTH_URL']).toBe(`http://127.0.0.1:${config.http.port}/healthz`);
    expect(service('simulator').command).toContain(`--url=mqtt://agent:${port}`);
    const users = agent.volumes?.map(parseMount).find(({ source }) => source === 'mqtt-users');
    const written = service('mqtt-users').command?.at(-1)?.split(' >> ')[1];
    expect(usersFile).toBe(`${users?.target}/${written?.replace('/data/', '')}`);
    expect(agent.volumes?.map(parseMount).map(({ target }) => target)).toContain(config.storage.dataDir);
    expectSecrets(agent, [config.http.tokenFile]);
    const key = `${gatewayToken(config)}.nkey`;
    expect(config.nats.nkeyFile).toBe(`${targetOf(agent, 'agent-key')}/${key}`);
    const made = service('nats-users').command?.at(-1) ?? '';
    expect(made).toContain(`nats-users --dir ${targetOf(service('nats-users'), 'nats-users')} ${gatewayKey(config)} `);
    expect(made).toContain(`cp /data/gateways/${key} ${targetOf(service('nats-users'), 'agent-key')}/`);
    // The keys of the others are none of its business.
    expect(targetOf(agent, 'nats-users')).toBeUndefined();
    expect(config.nats.servers).toEqual(['nats://nats:4222']);
  });

  test("of the processor holds with the processor's own schema, and agrees with compose.yaml", async () => {
    const config = await loadConfig(join(composeDir, 'config/processor.yaml'), processorConfigSchema);
    const processor = service('processor');
    if (config.store.kind !== 'influxdb') throw new Error('Grafana reads InfluxDB');
    expect(portsOf(processor).map(({ container }) => container)).toEqual([String(config.http.port)]);
    expect(processor.environment?.['FLOORWATCH_HEALTH_URL']).toBe(`http://127.0.0.1:${config.http.port}/healthz`);
    expect(processor.volumes?.map(parseMount).map(({ target }) => target)).toContain(config.dataDir);
    expectSecrets(processor, [config.http.tokenFile, config.store.tokenFile]);
    expect(config.nats.nkeyFile).toBe(`${targetOf(processor, 'processor-key')}/processor.nkey`);
    const made = service('nats-users').command?.at(-1) ?? '';
    expect(made).toContain(`cp /data/processor.nkey ${targetOf(service('nats-users'), 'processor-key')}/`);
    // Who has the keys of gateways can send in their names.
    expect(targetOf(processor, 'nats-users')).toBeUndefined();
    expectSecrets(service('set-up'), [config.store.tokenFile]);
    expect(config.store.onboard).toBe(true);
    const grafana = service('grafana').environment ?? {};
    expect(grafana).toMatchObject({
      FLOORWATCH_INFLUX_URL: config.store.url,
      FLOORWATCH_INFLUX_ORG: config.store.org,
      FLOORWATCH_INFLUX_BUCKET: config.store.bucket,
    });
    for (const url of [config.store.url, ...config.nats.servers]) {
      expect(Object.keys(compose.services)).toContain(new URL(url).hostname);
    }
  });

  test('of Grafana name only variables and folders that compose.yaml gives them', async () => {
    const grafana = service('grafana');
    const provisioning = join(composeDir, '../../dashboards/grafana/provisioning');
    const files = (await readdir(provisioning, { recursive: true })).filter((name) => name.endsWith('.yaml'));
    expect(files.length).toBeGreaterThan(0);
    const texts = await Promise.all(files.map((name) => readFile(join(provisioning, name), 'utf8')));
    const lines = texts.flatMap((text) => text.split('\n')).filter((line) => !line.startsWith('#'));
    const wanted = new Set(lines.join('\n').match(/FLOORWATCH_\w+/g));
    const given = new Set([
      ...Object.keys(grafana.environment ?? {}),
      ...(grafana.entrypoint?.join(' ').match(/FLOORWATCH_\w+/g) ?? []),
    ]);
    expect([...wanted].filter((name) => !given.has(name))).toEqual([]);
    const targets = grafana.volumes?.map(parseMount).map(({ target }) => target);
    expect(targets).toContain(grafana.environment?.['FLOORWATCH_DASHBOARDS']);
  });

  function expectSecrets(user: ComposeService, files: readonly (string | undefined)[]): void {
    for (const file of files) {
      const name = /^\/run\/secrets\/(.+)$/.exec(file ?? '')?.[1];
      expect(secretsOf(user)).toContain(name);
    }
  }
});

describe('the secrets', () => {
  let secrets: string;
  beforeAll(async () => {
    await cp(join(composeDir, 'make-secrets.sh'), join(folder, 'make-secrets.sh'));
    execFileSync('sh', [join(folder, 'make-secrets.sh')], { stdio: 'pipe' });
    secrets = join(folder, 'secrets');
  });

  test('are made as compose.yaml names them, each different, in a folder closed to others', async () => {
    const texts = new Map<string, string>();
    for (const [name, { file }] of Object.entries(compose.secrets)) {
      texts.set(name, await readFile(join(folder, file), 'utf8'));
      expect((await stat(join(folder, file))).mode & 0o777).toBe(0o644);
    }
    expect((await stat(secrets)).mode & 0o777).toBe(0o700);
    const values = [...texts.values()];
    expect(new Set(values).size).toBe(values.length);
    expect(values.every((value) => /^[0-9a-f]{48}$/.test(value))).toBe(true);
  });

  test('stay what they are when they are made again', async () => {
    const before = await readFile(join(secrets, 'influx-token'), 'utf8');
    execFileSync('sh', [join(folder, 'make-secrets.sh')], { stdio: 'pipe' });
    expect(await readFile(join(secrets, 'influx-token'), 'utf8')).toBe(before);
  });

  test('are never part of the repository', () => {
    const ignored = execFileSync('git', ['check-ignore', 'deploy/compose/secrets/http-token'], {
      cwd: join(composeDir, '../..'),
    });
    expect(ignored.toString().trim()).toBe('deploy/compose/secrets/http-token');
  });
});

describe('the configuration of NATS', () => {
  test('passes the real server with the users that are made for it, and not without', async () => {
    const nats = service('nats');
    expect(nats.command).toEqual(['--config', '/etc/nats/nats.conf']);
    expect(targetOf(nats, 'nats-users')).toBe('/etc/nats/users');
    const directory = join(folder, 'nats');
    await mkdir(directory);
    await cp(join(composeDir, 'config/nats.conf'), join(directory, 'nats.conf'));
    const { path } = await findServer('nats-server');
    const check = () => execFileSync(path, ['-t', '--config', join(directory, 'nats.conf')], { stdio: 'pipe' });
    expect(check).toThrow(/users\.conf/);
    execFileSync(process.execPath, [
      programs.processor,
      'nats-users',
      '--dir',
      join(directory, 'users'),
      'demo/compose',
    ]);
    expect(check).not.toThrow();
  });
});

/** Where a service mounts a volume. */
const targetOf = ({ volumes = [] }: ComposeService, volume: string): string | undefined =>
  volumes.map(parseMount).find(({ source }) => source === volume)?.target;
