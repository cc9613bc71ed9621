import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { forbidPrograms } from './forbid-programs.ts';
import { repositoryRoot } from './repository.ts';
import { resourcesPerTest } from './resources.ts';
import { unitTests, whyNotUnit } from './unit-tests.ts';

const resources = resourcesPerTest();

/** A repository of these files. */
async function repositoryOf(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await resources.directory();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

describe('unit tests', () => {
  it('are the files that start no program, neither themselves nor by a helper however far away', async () => {
    const root = await repositoryOf({
      'edge-agent/test/plain.test.ts': "import { a } from '../src/a.ts'; it('a', () => a());",
      'edge-agent/test/deep/waits.test.ts': "import { waitFor } from '../../../tests/support/index.ts';",
      'edge-agent/test/server.test.ts': 'const server = await resources.nats();',
      'edge-agent/test/helped.test.ts': "import { start } from './support/agent.ts';",
      'edge-agent/test/support/agent.ts': "import { program } from './program.ts';",
      'edge-agent/test/support/program.ts': "import { spawn } from 'node:child_process';",
      'edge-agent/test/replaced.test.ts': "vi.mock('../src/a.ts');",
      'edge-agent/src/a.ts': "import { spawn } from 'node:child_process';",
      'tests/support/index.ts': "export { ChildProgram } from './child-program.ts';",
      'tests/chaos/kill.test.ts': '',
      'node_modules/some/test/other.test.ts': '',
    });
    expect(unitTests(root)).toEqual(['edge-agent/test/deep/waits.test.ts', 'edge-agent/test/plain.test.ts']);
    expect(whyNotUnit(join(root, 'edge-agent/test/helped.test.ts'), root)).toBe(
      'edge-agent/test/support/program.ts: child_process',
    );
  });

  it('are most of the files of this repository', () => {
    const files = unitTests(repositoryRoot);
    expect(files.length).toBeGreaterThan(120);
    expect(files).toContain('segment-log/test/segment-log.test.ts');
    expect(files).not.toContain('edge-agent/test/main.test.ts');
    expect(files).not.toContain('tests/support/unit-tests.test.ts');
  });

  it('fail when they start a program or a server that other machines reach, and are told why', async () => {
    const allow = forbidPrograms();
    try {
      expect(() => spawnSync('true')).toThrow('spawnSync of true in a unit test');
      for (const listen of [[0], [0, '0.0.0.0'], [{ port: 0 }], [{ port: 0, host: '::' }]])
        expect(() => createServer().listen(...(listen as [number]))).toThrow('open to other machines in a unit test');
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      await new Promise((resolve) => server.close(resolve));
    } finally {
      allow();
    }
    expect(spawnSync('true').status).toBe(0);
  });
});
