import { join } from 'node:path';

import { findServer } from './find-server.ts';
import { type LoopbackServer, type LoopbackServerOptions, startLoopbackServer } from './loopback-server.ts';

/** It needs about 5 s on a laptop, longer with much data. */
const READY_MS_MAX = 120_000;

/** Starts an influxd and waits until it reports itself healthy. A fresh one is not set up yet. */
export async function startInfluxd(options: LoopbackServerOptions): Promise<LoopbackServer> {
  const { directory } = options;
  const path = options.path ?? (await findServer('influxd')).path;
  const kind = { name: 'influxd', path, scheme: 'http', listeningLine: /\bListening\b/, readyMsMax: READY_MS_MAX };
  return startLoopbackServer(kind, options, async (port) => ({
    parameters: [
      '--bolt-path',
      join(directory, 'influxd.bolt'),
      '--sqlite-path',
      join(directory, 'influxd.sqlite'),
      '--engine-path',
      join(directory, 'engine'),
      '--http-bind-address',
      `127.0.0.1:${port}`,
      '--reporting-disabled',
    ],
    isReady: () => isHealthy(`http://127.0.0.1:${port}`),
  }));
}

async function isHealthy(url: string): Promise<boolean> {
  const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) });
  const health = (await response.json()) as { status?: unknown };
  return health.status === 'pass';
}
