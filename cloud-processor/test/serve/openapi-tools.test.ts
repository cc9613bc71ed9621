import { execFile, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, test } from 'vitest';

import { resourcesPerSuite, skippedIf, waitFor } from '../../../tests/support/index.ts';
import { SENSOR_ID, startDescribed } from './described-processor.ts';

/** Another one is named where the packages are in an environment of their own. */
const python = process.env['FLOORWATCH_PYTHON'] ?? 'python3';
const isMissing = (module: string): boolean => spawnSync(python, ['-c', `import ${module}`]).status !== 0;
const noValidator = isMissing('openapi_spec_validator');
const noSchemathesis = isMissing('schemathesis');

const run = async (args: readonly string[], cwd: string): Promise<string> => {
  const { stdout } = await promisify(execFile)(python, args, { cwd, maxBuffer: 64 * 1024 * 1024 }).catch(
    (error: unknown) => {
      const { stdout: printed = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string };
      throw new Error(`${python} ${args.join(' ')}\n${printed}\n${stderr}`, { cause: error });
    },
  );
  return stdout;
};

describe('the description, by tools that others made', () => {
  const resources = resourcesPerSuite();
  let started: ReturnType<typeof startDescribed> | undefined;
  const originOf = async (): Promise<string> => (await (started ??= startDescribed(resources))).origin;

  test.skipIf(noValidator)(
    `openapi-spec-validator accepts it${skippedIf(noValidator, 'openapi-spec-validator was not found')}`,
    async () => {
      const origin = await originOf();
      const folder = await resources.directory();
      const response = await fetch(`${origin}/api/v1/openapi.json`);
      await writeFile(path.join(folder, 'openapi.json'), await response.text());
      expect(await run(['-m', 'openapi_spec_validator', 'openapi.json'], folder)).toContain('OK');
    },
  );

  test.skipIf(noSchemathesis)(
    `schemathesis finds nothing but declared answers${skippedIf(noSchemathesis, 'schemathesis was not found')}`,
    async () => {
      const origin = await originOf();
      await waitFor('there is something to answer', async () => {
        const page = (await (await fetch(`${origin}/api/v1/anomalies`)).json()) as { readonly items: unknown[] };
        const sensor = await fetch(`${origin}/api/v1/sensors?sensor=${encodeURIComponent(SENSOR_ID)}`);
        return page.items.length === 1 && ((await sensor.json()) as { items: unknown[] }).items.length === 1;
      });
      const config = fileURLToPath(new URL('schemathesis.toml', import.meta.url));
      const main = 'from schemathesis.cli import schemathesis; schemathesis()';
      const options = ['--phases', 'coverage,fuzzing', '-n', '5', '--seed', '1', '--generation-database', 'none'];
      const printed = await run(
        ['-c', main, '--config-file', config, 'run', `${origin}/api/v1/openapi.json`, '--no-color', ...options],
        await resources.directory(),
      );
      // It leaves out the live feed alone.
      expect(printed).toMatch(/Tested: 24\b/);
    },
  );
});
