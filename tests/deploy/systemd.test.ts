import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { repositoryRoot, resourcesPerTest, skippedIf } from '../support/index.ts';

const FOLDER = '/opt/floorwatch';
const ANALYZE = '/usr/bin/systemd-analyze';

/** What systemd calls a unit's exposure: 0 is none, 10 is a program that may do everything. */
const EXPOSURE_MAX = 2;

const read = (file: string): Promise<string> => readFile(path.join(repositoryRoot, file), 'utf8');

describe.each([
  ['floorwatch-agent', 'edge-agent', 'agent.yaml', ({ storage }: Example) => storage?.dataDir],
  ['floorwatch-processor', 'cloud-processor', 'processor.yaml', ({ dataDir }: Example) => dataDir],
] as const)('the unit of %s', (name, workspace, config, dataDirOf) => {
  const resources = resourcesPerTest();
  const file = `deploy/systemd/${name}.service`;

  it('starts the program that its workspace names, with the configuration of the README', async () => {
    const { bin } = JSON.parse(await read(`${workspace}/package.json`)) as { bin: Record<string, string> };
    const program = path.join(FOLDER, workspace, bin[name] ?? '');
    const [, started = ''] = /^ExecStart=(.*)$/m.exec(await read(file)) ?? [];
    expect(started.split(' ').filter((word) => word !== 'run')).toEqual([
      '/usr/bin/node',
      program,
      '--config',
      `/etc/floorwatch/${config}`,
    ]);
    expect(await read('deploy/systemd/README.md')).toContain(`/etc/floorwatch/${config}`);
  });

  it('lets it write where the example of its configuration has its data', async () => {
    const [, state = ''] = /^StateDirectory=(.*)$/m.exec(await read(file)) ?? [];
    const example = parse(await read(`${workspace}/config.example.yaml`)) as Example;
    expect(dataDirOf(example)).toBe(`/var/lib/${state}`);
  });

  it.skipIf(!existsSync(ANALYZE))(
    `is one that systemd takes, and exposes little${skippedIf(!existsSync(ANALYZE), 'there is no systemd-analyze')}`,
    async () => {
      // systemd looks whether what a unit starts is there.
      const copy = path.join(await resources.directory(), path.basename(file));
      const unit = await read(file);
      await writeFile(copy, unit.replace(/^ExecStart=.*$/m, `ExecStart=${process.execPath}`));
      const { stderr } = await promisify(execFile)(ANALYZE, ['verify', '--man=no', copy]);
      expect(stderr).toBe('');
      const { stdout } = await promisify(execFile)(ANALYZE, ['security', '--offline=true', '--no-pager', copy]);
      const [, exposure] = /exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
      expect(Number(exposure)).toBeLessThan(EXPOSURE_MAX);
    },
  );
});

/** What is read of an example configuration. */
interface Example {
  readonly dataDir?: string;
  readonly storage?: { readonly dataDir: string };
}
