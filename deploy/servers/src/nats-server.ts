import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

import { findServer } from './find-server.ts';
import { type LoopbackServer, type LoopbackServerOptions, startLoopbackServer } from './loopback-server.ts';

/** Recovering large streams from a slow disk takes a while. */
const READY_MS_MAX = 60_000;

export interface NatsServerOptions extends LoopbackServerOptions {
  /** More lines for its configuration file, in its own language. */
  readonly configuration?: string;
}

/** Starts a nats-server with JetStream and waits until it takes connections. */
export async function startNatsServer(options: NatsServerOptions): Promise<LoopbackServer> {
  const { directory, configuration = '' } = options;
  const path = options.path ?? (await findServer('nats-server')).path;
  const kind = {
    name: 'nats-server',
    path,
    scheme: 'nats',
    listeningLine: /Server is ready/,
    readyMsMax: READY_MS_MAX,
  };
  return startLoopbackServer(kind, options, async (port) => {
    const file = join(directory, 'nats-server.conf');
    const store = JSON.stringify(join(directory, 'jetstream'));
    await writeFile(file, `listen: "127.0.0.1:${port}"\njetstream { store_dir: ${store} }\n${configuration}\n`);
    return { parameters: ['--config', file], isReady: () => greetsWithJetStream(port) };
  });
}

/** A nats-server greets every connection with what it can do. */
function greetsWithJetStream(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(2_000, () => socket.destroy(new Error('it does not greet')));
    socket.on('data', (part) => {
      text += part.toString();
      if (!text.includes('\r\n')) return;
      resolve(text.startsWith('INFO ') && text.includes('"jetstream":true'));
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(false));
  });
}
