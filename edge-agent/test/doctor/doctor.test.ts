import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { EXIT } from '@floorwatch/runtime';
import { SegmentLog } from '@floorwatch/segment-log';
import { freePort } from '@floorwatch/servers';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { programs, repositoryRoot, resourcesPerTest } from '../../../tests/support/index.ts';
import { EXIT_CODES } from '../../src/doctor/command.ts';
import { examine, inTime } from '../../src/doctor/doctor.ts';
import { ok, SEVERITIES, worstOf } from '../../src/doctor/finding.ts';
import { reportText } from '../../src/doctor/report-text.ts';
import { type Runbook, runbookPath } from '../../src/status/runbooks.ts';
import { createStream } from '../support/agent.ts';

const resources = resourcesPerTest();
const SECRET = 'correct-horse-battery';
/** What they say depends on the machine that the tests run on. */
const OF_THE_MACHINE: ReadonlySet<string> = new Set(['node', 'memory', 'clock', 'disk health']);

/** A gateway as a technician may find it: set up in haste, on a bad day. */
async function brokenGateway(): Promise<{ configFile: string; replacements: [string | RegExp, string][] }> {
  const directory = await resources.directory();
  const dataDir = join(directory, 'data');
  await mkdir(dataDir);
  await chmod(dataDir, 0o777);
  await damagedJournal(join(dataDir, 'journal'));
  const nats = await resources.nats({
    configuration: `authorization { users: [
      { user: agent, password: unused, permissions: { publish: { deny: "ingest.v1.*.*.*.anomaly" }, subscribe: { deny: "floor.>" } } }
      { user: admin, password: secret }
    ] }
    no_auth_user: agent`,
  });
  await createStream(nats.url, { user: 'admin', pass: 'secret' });
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  resources.defer(() => other.close());
  const address = other.address();
  const mqttPort = typeof address === 'object' && address !== null ? address.port : 0;
  await writeFile(join(directory, 'http-token'), SECRET);
  await chmod(join(directory, 'http-token'), 0o644);
  const nobody = await freePort();
  const configFile = join(directory, 'agent.yaml');
  await writeFile(
    configFile,
    `site: Leipzig
gateway: hall-1
broker: { kind: embedded, host: 0.0.0.0, port: ${mqttPort}, usersFile: ${directory}/mqtt-users }
storage: { dataDir: ${dataDir} }
nats: { servers: ['nats://127.0.0.1:${nobody}', '${nats.url}'] }
http: { port: ${await freePort()}, tokenFile: ${directory}/http-token }
`,
    { mode: 0o640 },
  );
  const replacements: [string | RegExp, string][] = [
    [directory, '/etc/floorwatch'],
    [`port ${mqttPort}`, 'port 1883'],
    [String(nobody), '4222'],
    [nats.url, 'nats://127.0.0.1:4223'],
    [`node (process ${process.pid})`, 'mosquitto (process 711)'],
    [/lies on \S+ \(\S+, mounted at \S+\)/g, 'lies on /dev/mmcblk0p2 (ext4, mounted at /)'],
    [/nats-server \S+, \S+ ms/g, 'nats-server 2.11.0, 0.5 ms'],
    [/small write in \S+ ms \(median\), \S+ ms/g, 'small write in 4 ms (median), 12 ms'],
    [
      /\S+ \wiB of \S+ \wiB are free; the agent's limits let it take \S+ \wiB/g,
      "9 GiB of 29 GiB are free; the agent's limits let it take 1.5 GiB",
    ],
  ];
  return { configFile, replacements };
}

async function damagedJournal(directory: string): Promise<void> {
  const { log } = await SegmentLog.open({
    directory,
    durability: 'process',
    bytesMax: 64 * 1024 * 1024,
    segmentBytesMax: 16 * 1024,
  });
  for (let count = 0; count < 60; count++) await log.append([Buffer.alloc(1_000, 7)]);
  const [, second = ''] = (await readdir(directory)).filter((name) => name.endsWith('.seg')).sort();
  await log.close();
  await rm(join(directory, second));
}

const reportSchema = z.strictObject({
  schema: z.literal(1),
  version: z.string().min(1),
  at: z.int().min(1_700_000_000_000),
  configFile: z.string(),
  site: z.string().nullable(),
  gateway: z.string().nullable(),
  agent: z.enum(['running', 'stopped', 'hidden', 'unknown']),
  severity: z.enum(SEVERITIES),
  findings: z.array(
    z.strictObject({
      check: z.string().min(1),
      severity: z.enum(SEVERITIES),
      finding: z.string().min(1),
      remedy: z.string().min(1).optional(),
      runbook: z.string().optional(),
    }),
  ),
});

describe('doctor', () => {
  it('says of a broken gateway what is wrong and what to do, so that a person can follow', async () => {
    const { configFile, replacements } = await brokenGateway();
    const report = await examine(configFile);
    const inWords = (text: string): string =>
      replacements.reduce((plain, [from, to]) => plain.replaceAll(from, to), text);
    const findings = report.findings
      .filter(({ check }) => !OF_THE_MACHINE.has(check))
      .map((finding) => {
        const remedy = finding.remedy === undefined ? {} : { remedy: inWords(finding.remedy) };
        return Object.assign({}, finding, { finding: inWords(finding.finding) }, remedy);
      });
    const plain = { ...report, configFile: inWords(report.configFile), findings };
    await expect(reportText(plain)).toMatchFileSnapshot('broken-gateway.txt');
  });

  it('never shows a secret, prints what the schema says with --json, and ends with its severity', async () => {
    const { configFile } = await brokenGateway();
    const program = resources.program(programs.agent, ['doctor', '--config', configFile, '--json']);
    const exit = await program.exited;
    const report = reportSchema.parse(JSON.parse(program.stdout));
    expect(report).toMatchObject({ site: 'Leipzig', gateway: 'hall-1', agent: 'stopped', severity: 'critical' });
    expect(exit.code).toBe(2);
    expect(program.stdout + program.stderr).not.toContain(SECRET);
    expect(program.stderr).toBe('');
  });

  it('says with a configuration that can’t be used what is wrong in it, and still looks at the machine', async () => {
    const configFile = join(await resources.directory(), 'agent.yaml');
    await writeFile(configFile, 'site: Leipzig\ngatway: hall-1\n');
    const program = resources.program(programs.agent, ['doctor', '--config', configFile]);
    expect((await program.exited).code).toBe(2);
    expect(program.stdout).toMatch(
      /^Gateway .*agent\.yaml: the configuration can’t be used\.\n\nCRITICAL {3}configuration: /,
    );
    expect(program.stdout).toMatch(/gatway: unknown field/);
    expect(program.stdout).toMatch(/node: Node\.js/);
  });

  it('a check that breaks, hangs or takes its time to the end holds nothing up', async () => {
    const check = { name: 'slow disk', msMax: 50 };
    const never = new AbortController().signal;
    const broken = await inTime(check, never, async () => Promise.reject(new Error('EIO')));
    expect(broken).toMatchObject([{ severity: 'warning', finding: 'the check "slow disk" could not be made: EIO' }]);
    const hung = await inTime(check, never, async () => new Promise(() => undefined));
    expect(hung).toMatchObject([{ severity: 'warning', finding: 'the check "slow disk" did not end within 0.05 s' }]);
    const heeded = await inTime(check, never, async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return [ok('as far as it came')];
    });
    expect(heeded).toEqual([ok('as far as it came')]);
  });

  it('every exit code stands for a severity', () => {
    expect(EXIT_CODES).toEqual({ ok: EXIT.ok, notice: EXIT.ok, warning: 1, critical: 2 });
    expect(worstOf([])).toBe('ok');
    expect(worstOf(['notice', 'critical', 'ok', 'warning'])).toBe('critical');
  });

  it('names only pages that exist, and the list of pages names all of them', async () => {
    const pages: Readonly<Record<Runbook, true>> = {
      broker: true,
      clock: true,
      'damaged-log': true,
      'disk-full': true,
      'disk-health': true,
      identity: true,
      memory: true,
      nats: true,
      processor: true,
      'processor-silent': true,
      quarantine: true,
      'readings-rejected': true,
      secrets: true,
      'will-not-start': true,
    };
    const expected = (Object.keys(pages) as Runbook[]).map((page) => runbookPath(page));
    const there = await readdir(join(repositoryRoot, 'docs/runbooks'));
    expect(
      there
        .filter((name) => name !== 'README.md')
        .map((name) => `docs/runbooks/${name}`)
        .sort(),
    ).toEqual(expected.sort());
  });
});
