import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from '@floorwatch/servers';
import { describe, expect, it } from 'vitest';

import { resourcesPerTest, skippedIf } from '../../../tests/support/index.ts';
import { checkBroker } from '../../src/doctor/checks/broker.ts';
import { connectDevice } from '../support/devices.ts';
import { gatewayConfig, runCheck, type Written } from './gateway.ts';

const resources = resourcesPerTest();
const brokerScript = fileURLToPath(new URL('../support/mqtt-broker.mjs', import.meta.url));
const SECRET = 'not-the-secret';
const hasProc = process.platform === 'linux';

describe('doctor: the embedded broker', () => {
  it('finds its port free', async () => {
    expect(await runCheck(checkBroker, await gatewayConfig(resources))).toMatchObject([
      { severity: 'ok', finding: expect.stringMatching(/^port \d+ on 127\.0\.0\.1 is free/) },
    ]);
  });

  it.skipIf(!hasProc)(`names the program that has its port${skippedIf(!hasProc, 'there is no /proc')}`, async () => {
    const gateway = await gatewayConfig(resources);
    const { broker } = gateway.config;
    const server = createServer();
    await new Promise<void>((resolve) => server.listen('port' in broker ? broker.port : 0, '127.0.0.1', resolve));
    resources.defer(() => server.close());
    expect(await runCheck(checkBroker, gateway)).toMatchObject([
      {
        severity: 'critical',
        runbook: 'broker',
        finding: expect.stringContaining(`(process ${process.pid}), not by the agent`),
      },
    ]);
  });

  it('tells of an address that is not this machine’s', async () => {
    const gateway = await gatewayConfig(resources, { broker: { kind: 'embedded', host: 'no-such-host.invalid' } });
    expect(await runCheck(checkBroker, gateway)).toMatchObject([
      { severity: 'critical', remedy: 'set it to an address of this machine' },
    ]);
  });
});

describe('doctor: an external broker', () => {
  async function check(broker: Written): ReturnType<typeof runCheck> {
    const program = resources.program(brokerScript, ['0']);
    const port = (await program.printed(/listening on (\d+)/))[1];
    return runCheck(
      checkBroker,
      await gatewayConfig(resources, { broker: { kind: 'external', url: `mqtt://127.0.0.1:${port}`, ...broker } }),
    );
  }

  async function passwordFile(password: string): Promise<string> {
    const file = join(await resources.directory(), 'password');
    await writeFile(file, password, { mode: 0o600 });
    return file;
  }

  it('lets the agent in', async () => {
    const findings = await check({ user: 'agent', passwordFile: await passwordFile('secret') });
    expect(findings).toMatchObject([
      { severity: 'ok', finding: expect.stringMatching(/accepts this user and the subscriptions/) },
    ]);
  });

  it('refuses a wrong password, which is told and not shown', async () => {
    const findings = await check({ user: 'agent', passwordFile: await passwordFile(SECRET) });
    expect(findings).toMatchObject([{ severity: 'critical', finding: expect.stringMatching(/refuses this user/) }]);
    expect(JSON.stringify(findings)).not.toContain(SECRET);
  });

  it('refuses a subscription, which is named', async () => {
    const program = resources.program(brokerScript, ['0']);
    const port = (await program.printed(/listening on (\d+)/))[1];
    const gateway = await gatewayConfig(resources, {
      broker: { kind: 'external', url: `mqtt://127.0.0.1:${port}` },
      topics: [{ topic: 'sensors/{device}/{metric}' }, { topic: 'forbidden/{device}/{metric}' }],
    });
    expect(await runCheck(checkBroker, gateway)).toMatchObject([
      { severity: 'critical', finding: expect.stringMatching(/refuses the subscription to forbidden\/\+\/\+$/) },
    ]);
  });

  it('is not there', async () => {
    const url = `mqtt://127.0.0.1:${await freePort()}`;
    const findings = await runCheck(checkBroker, await gatewayConfig(resources, { broker: { kind: 'external', url } }));
    expect(findings).toMatchObject([{ severity: 'critical', finding: `broker.url: ${url}: nothing listens there` }]);
  });

  it('has a name that nobody knows', async () => {
    const broker = { kind: 'external', url: 'mqtt://no-such-host.invalid' };
    const [finding] = await runCheck(checkBroker, await gatewayConfig(resources, { broker }));
    expect(finding).toMatchObject({ severity: 'critical', finding: expect.stringMatching(/the name is not known$/) });
  });

  it('does not disturb the agent’s own connection and session', async () => {
    const program = resources.program(brokerScript, ['0']);
    const port = Number((await program.printed(/listening on (\d+)/))[1]);
    const clientId = 'floorwatch-Werk 1-halle-7';
    const agent = await connectDevice(resources, port, { clientId, clean: false });
    let lost = 0;
    agent.on('close', () => (lost += 1));
    const gateway = await gatewayConfig(resources, {
      broker: { kind: 'external', url: `mqtt://127.0.0.1:${port}`, clientId },
    });
    expect(await runCheck(checkBroker, gateway)).toMatchObject([{ severity: 'ok' }]);
    expect(agent.connected).toBe(true);
    expect(lost).toBe(0);
  });
});
