import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { freePort } from '@floorwatch/servers';
import { expect, it } from 'vitest';

import { resourcesPerTest, waitFor } from '../../../tests/support/index.ts';
import { examine } from '../../src/doctor/doctor.ts';
import { createStream, startAgent } from '../support/agent.ts';
import { connectDevice } from '../support/devices.ts';

const resources = resourcesPerTest();

it('the doctor sees a running agent as it is, and disturbs neither it nor its devices', async () => {
  const nats = await resources.nats();
  await createStream(nats.url);
  const directory = await resources.directory();
  const written = {
    site: 'Werk 1',
    gateway: 'halle-7',
    broker: { kind: 'embedded' as const, port: await freePort() },
    storage: { dataDir: join(directory, 'data') },
    nats: { servers: [nats.url] },
    http: { port: await freePort() },
  };
  const configFile = join(directory, 'agent.yaml');
  await writeFile(configFile, JSON.stringify(written), { mode: 0o640 });
  const agent = await startAgent(resources, nats.url, written);
  const device = await connectDevice(resources, written.broker.port);
  let lost = 0;
  device.on('close', () => (lost += 1));
  for (let value = 0; value < 20; value++) await device.publishAsync('sensors/press/temp', String(value), { qos: 1 });
  await device.publishAsync('unknown/topic', '1', { qos: 1 });
  await waitFor('something is sent', async () => (await agent.status()).lanes.telemetry.recordsAcknowledged > 0);
  const before = await agent.status();

  const report = await examine(configFile);

  const told = (check: string): string[] =>
    report.findings
      .filter((finding) => finding.check === check)
      .map(({ severity, finding }) => `${severity}: ${finding}`);
  expect(report).toMatchObject({ agent: 'running', site: 'Werk 1', gateway: 'halle-7' });
  expect(told('agent')).toEqual([
    expect.stringMatching(`^ok: \\S+ has run for .* \\(process ${process.pid}\\), uses .* of memory`),
  ]);
  expect(told('broker')).toEqual([
    expect.stringMatching(/^ok: listens at mqtt:\/\/127\.0\.0\.1:\d+, 1 device connected$/),
  ]);
  expect(told('readings')).toEqual([
    expect.stringMatching(/^ok: 21 received from 1 sensor: 20 accepted, 1 rejected, 0 sent again$/),
    expect.stringMatching(/^warning: 1 rejected \(topic-unknown\), the last one on unknown\/topic$/),
  ]);
  expect(told('logs')).toEqual(['ok: an agent uses them, and has looked at them when it started']);
  expect(told('nats').filter((text) => !text.startsWith('ok'))).toEqual([]);
  expect(told('processor')).toEqual([expect.stringMatching(/^warning: no cloud processor has said/)]);

  const after = await agent.status();
  expect(after.epoch).toBe(before.epoch);
  expect(after.readings.received).toBe(before.readings.received);
  expect(after.broker.connections).toBe(1);
  expect(after.nats.since).toBe(before.nats.since);
  expect(lost).toBe(0);
}, 60_000);
