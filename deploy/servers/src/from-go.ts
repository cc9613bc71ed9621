import { join } from 'node:path';

import { onPath } from './executable.ts';
import { type FetchContext, fetchIntoCache, type FetchResult } from './fetch-server.ts';
import { lastLine, runCommand } from './run-command.ts';

/** Downloading and compiling on a gateway's processor. */
const INSTALL_MS_MAX = 15 * 60_000;

/** Builds the pinned version with a Go tool chain, which checks the sources against Go's own checksum database. */
export async function fromGo(context: FetchContext): Promise<FetchResult> {
  const module = context.program.goModule;
  if (module === undefined) return { problem: 'it can not be built this way' };
  const [go] = await onPath(['go'], context.environment, false);
  if (go === undefined) return { problem: 'there is no go on PATH' };
  return fetchIntoCache(context, `built with go install ${module}`, async (workDirectory) => {
    context.progress(`building ${module} with ${go}; this takes a minute or two, once`);
    const environment = { ...context.environment, GOBIN: workDirectory, CGO_ENABLED: '0' };
    const { signal } = context;
    const { code, output } = await runCommand(go, ['install', module], {
      environment,
      timeoutMs: INSTALL_MS_MAX,
      signal,
    });
    if (code === 0) return join(workDirectory, context.program.executables[0] ?? context.program.name);
    return { problem: `go install ${module} failed: ${lastLine(output)}` };
  });
}
