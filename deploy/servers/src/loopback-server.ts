import { makeFolder } from '@floorwatch/runtime';

import { freePort } from './free-port.ts';
import { type ServerLaunch, ServerProcess } from './server-process.ts';

/** Another program may take a port between its choice and its use. */
const START_ATTEMPTS = 3;

export interface LoopbackServerOptions {
  /** Its own folder, which holds all of its data. Made if missing. */
  readonly directory: string;
  /** Path of the executable. Default: whatever `findServer` finds. */
  readonly path?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Gives up waiting until it is ready. */
  readonly signal?: AbortSignal;
  /** Receives every line that it writes. */
  readonly onLine?: (line: string) => void;
}

/** A server on 127.0.0.1 as a child process that never outlives this one. */
export interface LoopbackServer {
  readonly process: ServerProcess;
  /** The same after a restart, like port and directory. */
  readonly url: string;
  readonly port: number;
  readonly directory: string;
  /** Starts it again after `stop` or `kill9`, and waits until it is ready. */
  start(): Promise<void>;
  stop(): Promise<void>;
  kill9(): Promise<void>;
}

/** Starts a server of one kind at the port asked for, or at a free one; `launchAt` says what it needs there. */
export async function startLoopbackServer(
  kind: Pick<ServerLaunch, 'name' | 'path' | 'listeningLine' | 'readyMsMax'> & { readonly scheme: string },
  options: LoopbackServerOptions,
  launchAt: (port: number) => Promise<Pick<ServerLaunch, 'parameters' | 'isReady'>>,
): Promise<LoopbackServer> {
  const { directory, onLine, signal } = options;
  await makeFolder(directory);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const launch = await launchAt(port);
    const server = new ServerProcess({ ...kind, ...launch, signal, ...(onLine === undefined ? {} : { onLine }) });
    try {
      await server.start();
    } catch (error) {
      const taken = server.lastLines.some((line) => line.includes('address already in use'));
      if (taken && options.port === undefined && attempt < START_ATTEMPTS) continue;
      throw error;
    }
    return {
      process: server,
      url: `${kind.scheme}://127.0.0.1:${port}`,
      port,
      directory,
      start: () => server.start(),
      stop: () => server.stop(),
      kill9: () => server.kill9(),
    };
  }
}
