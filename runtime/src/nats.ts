import { readFile } from 'node:fs/promises';

import {
  connect,
  credsAuthenticator,
  nkeyAuthenticator,
  nkeys,
  type NatsConnection,
  type NodeConnectionOptions,
  tokenAuthenticator,
} from '@nats-io/transport-node';
import { z } from 'zod';

import { messageOf, StartError } from './errors.ts';
import type { Logger } from './logger.ts';
import { retryDelay, type RetrySchedule } from './retry-delay.ts';
import { readSecret } from './secret.ts';
import { readTlsFiles, tlsFilesSchema } from './tls-files.ts';
import { pause, unlessAborted } from './waiting.ts';

const CONNECT_RETRY: RetrySchedule = { firstMs: 750, maxMs: 7_500 };

/** How a program reaches NATS. Secrets stand in files of their own, or in the environment variables FLOORWATCH_NATS_NKEY and FLOORWATCH_NATS_TOKEN. */
export const natsConfigSchema = z
  .strictObject({
    /** Addresses of one cluster, `nats://host:port` or `tls://host:port`. */
    servers: z
      .array(
        z
          .url({ protocol: /^(nats|tls)$/, error: 'must be an address such as nats://127.0.0.1:4222' })
          .refine(
            (url) => !url.includes('@'),
            'must not hold a user or a password; use nats.nkeyFile, nats.credentialsFile or nats.tokenFile',
          ),
      )
      .min(1)
      .max(20)
      .default(['nats://127.0.0.1:4222']),
    /** A `.creds` file with a user's JWT and key. */
    credentialsFile: z.string().min(1).exactOptional(),
    /** A file with the seed of a user's NKey, as `floorwatch-processor nats-users` makes it. */
    nkeyFile: z.string().min(1).exactOptional(),
    tokenFile: z.string().min(1).exactOptional(),
    /** For servers that ask for TLS. */
    tls: tlsFilesSchema.exactOptional(),
  })
  .superRefine(({ credentialsFile, nkeyFile, tokenFile }, context) => {
    if ([credentialsFile, nkeyFile, tokenFile].filter((file) => file !== undefined).length <= 1) return;
    const message = 'give one of nats.nkeyFile, nats.credentialsFile and nats.tokenFile: a connection is of one user';
    context.addIssue({ code: 'custom', message });
  })
  .prefault({});

export type NatsConfig = z.output<typeof natsConfigSchema>;

/**
 * Connects, and stays connected: after a loss it tries for ever, with jitter. Waits until the first connection stands.
 *
 * @param name how the connection is called in the server's own lists.
 * @param inbox what the subjects begin with on which it gets answers.
 * @param signal gives up waiting.
 * @param onFailure hears why an attempt failed; the log tells of the first one only.
 * @throws StartError if a file with credentials or certificates can't be read; the signal's reason if it aborts.
 */
export async function connectNats(
  config: NatsConfig,
  name: string,
  inbox: string,
  logger: Logger,
  signal: AbortSignal,
  onFailure: (error: unknown) => void = () => undefined,
): Promise<NatsConnection> {
  const options = await natsConnectionOptions(config, name, inbox);
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const connecting = connect(options);
    try {
      const connection = await unlessAborted(connecting, signal);
      void logStatus(connection, logger);
      return connection;
    } catch (error) {
      if (signal.aborted) {
        // An attempt can't be called off; a server that does not answer would keep it for 20 s.
        connecting.then(async (late) => late.close()).catch(() => undefined);
        throw error;
      }
      onFailure(error);
      // Said once: a gateway may be without its cloud for days.
      logger[attempt === 1 ? 'warn' : 'debug'](
        { servers: config.servers, attempt, error: messageOf(error) },
        'NATS cannot be reached; trying again',
      );
      await pause(retryDelay(CONNECT_RETRY, attempt), signal);
    }
  }
}

/**
 * What the NATS client needs to connect, secrets included; it stays connected for ever.
 *
 * @throws StartError if a file with credentials or certificates can't be read.
 */
export async function natsConnectionOptions(
  config: NatsConfig,
  name: string,
  inbox: string,
): Promise<NodeConnectionOptions> {
  const options: NodeConnectionOptions = {
    servers: [...config.servers],
    name,
    inboxPrefix: inbox,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    reconnectJitter: 500,
    pingInterval: 10_000,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
  };
  if (config.tls !== undefined) options.tls = { ...(await readTlsFiles(config.tls, 'nats.tls')) };
  if (config.credentialsFile !== undefined) {
    try {
      options.authenticator = credsAuthenticator(await readFile(config.credentialsFile));
    } catch (error) {
      const message = `nats.credentialsFile: ${config.credentialsFile} can't be used: ${messageOf(error)}`;
      throw new StartError('secret-missing', message, { cause: error });
    }
    return options;
  }
  const seed = await readSecret('NATS key', config.nkeyFile, 'FLOORWATCH_NATS_NKEY');
  if (seed !== undefined && config.tokenFile === undefined) {
    options.authenticator = nkeyAuthenticator(checkedSeed(seed, config.nkeyFile ?? 'FLOORWATCH_NATS_NKEY'));
    return options;
  }
  const token = await readSecret('NATS token', config.tokenFile, 'FLOORWATCH_NATS_TOKEN');
  if (token !== undefined) options.authenticator = tokenAuthenticator(token);
  return options;
}

/** @throws StartError if it is none: the client would say so at every attempt only. */
function checkedSeed(seed: string, where: string): Uint8Array {
  const bytes = new TextEncoder().encode(seed);
  try {
    nkeys.fromSeed(bytes);
    return bytes;
  } catch (error) {
    const message = `nats.nkeyFile: ${where} does not hold the seed of a NATS user (it begins with SU)`;
    throw new StartError('secret-missing', message, { cause: error });
  }
}

async function logStatus(connection: NatsConnection, logger: Logger): Promise<void> {
  for await (const status of connection.status()) {
    switch (status.type) {
      case 'disconnect':
        logger.warn({ server: status.server }, 'connection to NATS lost; trying again');
        break;
      case 'reconnect':
        logger.info({ server: status.server }, 'connected to NATS again');
        break;
      case 'error':
        logger.error({ error: messageOf(status.error) }, 'NATS reports an error');
        break;
      case 'slowConsumer':
      case 'staleConnection':
      case 'ldm':
        logger.warn({ status: status.type }, 'NATS connection needs attention');
        break;
      case 'close':
      case 'forceReconnect':
      case 'ping':
      case 'reconnecting':
      case 'update':
        break;
    }
  }
}
