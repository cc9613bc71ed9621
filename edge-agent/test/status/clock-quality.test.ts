import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { readClockQuality } from '../../src/status/clock-quality.ts';

const resources = resourcesPerTest();

it('tells what the time service says, and that there is none', async () => {
  const directory = join(await resources.directory(), 'timesync');
  expect(await readClockQuality(directory)).toBe('unknown');
  await mkdir(directory);
  expect(await readClockQuality(directory)).toBe('unsynchronised');
  await writeFile(join(directory, 'synchronized'), '');
  expect(await readClockQuality(directory)).toBe('synchronised');
});
